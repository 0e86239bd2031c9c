"""How conda's package names translate to PyPI's. Data only.

Names not listed are the same in both worlds.
"""

from __future__ import annotations

RENAMED: dict[str, str] = {
    "arviz-base": "arviz",
    "black-jupyter": "black[jupyter]",
    "brotli-python": "brotli",
    "cachecontrol-with-filecache": "cachecontrol[filecache]",
    "dask-core": "dask",
    "dash-core": "dash",
    "faiss": "faiss-cpu",
    "graphviz-python": "graphviz",
    "keras-base": "keras",
    "keras-gpu": "keras",
    "lightgbm-cpu": "lightgbm",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "numpy-base": "numpy",
    "opencv": "opencv-python-headless",
    "opencv-python": "opencv-python-headless",
    "openjpeg-python": "glymur",
    "pillow-simd": "pillow",
    "psycopg2": "psycopg2-binary",
    "py-lief": "lief",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyarrow-core": "pyarrow",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-blosc": "blosc",
    "python-flatbuffers": "flatbuffers",
    "python-graphviz": "graphviz",
    "python-kaleido": "kaleido",
    "python-levenshtein": "levenshtein",
    "python-lmdb": "lmdb",
    "python-tzdata": "tzdata",
    "python-xxhash": "xxhash",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "pytorch_geometric": "torch-geometric",
    "pyg": "torch-geometric",
    "stanza-nlp": "stanza",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "torchvision-cpu": "torchvision",
    "umap": "umap-learn",
    "xgboost-cpu": "xgboost",
}

INSTALLERS = frozenset({"pip", "wheel", "conda", "mamba", "micromamba", "conda-build", "uv", "python_abi"})
"""Tools that build an environment; the studio brings its own."""

SYSTEM_LIBRARIES = frozenset(
    """
    _libgcc_mutex _openmp_mutex _tflow_select abseil-cpp arrow-cpp aws-c-common blas bzip2 c-ares c-compiler
    ca-certificates certifi-win compilers cpuonly cuda cuda-cudart cuda-libraries cuda-nvrtc cuda-nvtx cuda-runtime
    cuda-toolkit cuda-version cudatoolkit cxx-compiler expat ffmpeg fontconfig freetype fortran-compiler gcc
    gcc_linux-64 gettext gflags giflib glib glog gmp gnutls gxx gxx_linux-64 harfbuzz hdf5 icu intel-openmp jpeg
    keyutils krb5 lame lcms2 ld_impl_linux-64 lerc libabseil libaio libarrow libblas libboost libbrotlicommon
    libbrotlidec libbrotlienc libcblas libcurl libcxx libdeflate libedit libev libexpat libffi libgcc libgcc-ng
    libgfortran libgfortran-ng libgfortran5 libglib libgomp libiconv libidn2 libjpeg-turbo liblapack libllvm14
    libnghttp2 libnsl libopenblas libpng libprotobuf libsodium libspatialindex libsqlite libssh2 libstdcxx
    libstdcxx-ng libtiff libunistring libutf8proc libuuid libuv libwebp libwebp-base libxcb libxcrypt libxgboost
    libxml2 libxslt libzlib llvm-openmp lz4-c make mkl mkl-service mkl_fft mkl_random mpc mpfr nccl ncurses nettle
    ninja-base nomkl openblas openh264 openjpeg openmp openssl orc perl pkg-config pthread-stubs pytorch-cuda
    pytorch-mutex re2 readline snappy sqlite sysroot_linux-64 tbb tk tzdata-system ucrt unixodbc utf8proc vc
    vs2015_runtime xorg-libxau xorg-libxdmcp xz yaml zeromq zlib zlib-ng zstd
    """.split()
)
"""Native libraries that wheels from PyPI bring inside themselves or that the machine provides."""

IMPOSSIBLE: dict[str, str] = {
    "cudnn": "NVIDIA's cuDNN is no Python package of its own; use a package that brings it, such as torch or nvidia-cudnn-cu12.",
    "r-base": "R cannot be installed into a Python environment.",
    "r": "R cannot be installed into a Python environment.",
    "r-essentials": "R cannot be installed into a Python environment.",
    "julia": "Julia cannot be installed into a Python environment.",
    "nodejs": "Node.js cannot be installed into a Python environment.",
    "openjdk": "A Java runtime cannot be installed into a Python environment.",
    "cmake-gui": "This program exists only in conda's channels.",
    "graph-tool": "graph-tool exists only in conda's channels; networkx or igraph are on PyPI.",
    "cudf": "RAPIDS packages are not on PyPI under this name; add NVIDIA's index and ask for cudf-cu12 under 'pip:'.",
    "cuml": "RAPIDS packages are not on PyPI under this name; add NVIDIA's index and ask for cuml-cu12 under 'pip:'.",
    "rapids": "RAPIDS packages are not on PyPI under this name; add NVIDIA's index and ask for them under 'pip:'.",
    "proj": "This library exists only in conda's channels; pyproj on PyPI brings it along.",
    "gdal": "GDAL's Python package needs the machine's own library; rasterio or fiona on PyPI bring it along.",
    "tesseract": "This program exists only in conda's channels.",
    "pocl": "This library exists only in conda's channels.",
}
IMPOSSIBLE_PREFIXES: dict[str, str] = {"r-": "R packages cannot be installed into a Python environment."}
