"""Logs are written here as the inference server writes them; its own tests hold it to that form."""

from deployments.failures import explain_exit, explain_not_ready, lines_that_matter
from deployments.spec import Probe

STAMP = "2026-11-20 10:00:00,123 E [17] azmlinfsrv - "
FRAMES = [
    '  File "/srv/runtime/inference_server/script.py", line 90, in load',
    "    spec.loader.exec_module(module)",
    '  File "/srv/mounts/code/abc/score.py", line 4, in <module>',
]


def log(*lines):
    return ["2026-11-20 10:00:00,100 I [17] azmlinfsrv - starting", *lines]


def failed_import(*end):
    head = STAMP + "Failed to import user script because it raised an unhandled exception"
    return log(head, "Traceback (most recent call last):", *FRAMES, *end)


def failed_init(*end):
    return log(STAMP + "User's init function failed", "Traceback (most recent call last):", *FRAMES, *end)


def test_a_missing_package_is_named_with_the_line_that_imports_it():
    failure = explain_exit(3, failed_import("    import lightgbm", "ModuleNotFoundError: No module named 'lightgbm'"))
    assert failure.code == "ResourceNotReady"
    assert failure.message.startswith("score.py, line 4 imports 'lightgbm'")
    assert "UserScriptImportError" in failure.cause
    assert "lightgbm" in failure.hint
    assert failure.log_lines[-1] == "ModuleNotFoundError: No module named 'lightgbm'"


def test_a_syntax_error_is_named_with_its_line():
    lines = failed_import("    def run(data)", "                 ^", "SyntaxError: expected ':'")
    failure = explain_exit(3, lines)
    assert "syntax error" in failure.message
    assert "line 4" in failure.message


def test_a_file_that_is_no_model_is_told_from_other_errors_of_init():
    lines = failed_init("    model = joblib.load(path)", "_pickle.UnpicklingError: invalid load key, 'x'.")
    failure = explain_exit(3, lines)
    assert "could not load the model file" in failure.message
    assert "UserScriptInitFailed" in failure.cause


def test_an_init_that_raises_is_named_with_what_it_raised():
    failure = explain_exit(3, failed_init("    raise ValueError('no licence')", "ValueError: no licence"))
    assert failure.message == "init() raised ValueError: no licence (score.py, line 4)."


def test_a_missing_file_leads_to_the_listing_of_the_model_folder():
    failure = explain_exit(3, failed_init("    open(path)", "FileNotFoundError: [Errno 2] No such file: 'model.pkl'"))
    assert "AZUREML_MODEL_DIR" in failure.hint


def test_a_missing_function_is_named():
    failure = explain_exit(3, log(STAMP + "User script at /x/score.py does not have a run() function defined."))
    assert failure.message == "The scoring script has no run() function."


def test_an_instance_killed_for_memory_is_told_to_take_more():
    failure = explain_exit(137, log(), oom_killed=True)
    assert "memory" in failure.message
    assert "more memory" in failure.hint


def test_a_crash_without_words_names_the_signal():
    failure = explain_exit(139, log("last words"))
    assert "signal 11" in failure.cause
    assert failure.log_lines[-1] == "last words"


def test_a_slow_start_shows_the_arithmetic_of_the_probe():
    failure = explain_not_ready(Probe(initial_delay=1, period=1, failure_threshold=4), log(), answered=False)
    assert "within 5 s (1 s + 4 × 1 s)" in failure.message
    assert "initial delay" in failure.hint


def test_a_long_traceback_is_shortened_in_the_middle():
    middle = [f'  File "/x/{number}.py", line 1, in f' for number in range(60)]
    lines = log("Traceback (most recent call last):", *middle, "ValueError: x", STAMP + "goodbye")
    matter = lines_that_matter(lines)
    assert len(matter) <= 12
    assert matter[0].startswith("Traceback")
    assert matter[-1] == "ValueError: x"


def test_the_users_own_line_is_kept_however_deep_the_library_below_it():
    inner = [f'  File "/env/lib/python3.11/site-packages/joblib/{number}.py", line 1, in f' for number in range(40)]
    lines = failed_init("    model = joblib.load(path)", *inner, "IndexError: pop from empty list")
    failure = explain_exit(3, lines)
    assert failure.message.startswith("init() could not load the model file (score.py, line 4)")
    assert any("score.py" in line for line in failure.log_lines)
    assert len(failure.log_lines) <= 12
