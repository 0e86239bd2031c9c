"""The program supervisord starts for each instance: `python -I -S launch.py <instances/<name>/spec.json>`.

All of it is in `launcher.py`: modules are kept compiled, programs are not.
"""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from deployments.compute.launcher import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
