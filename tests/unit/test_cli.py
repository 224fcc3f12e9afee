import subprocess
import sys


def test_the_command_does_not_read_what_only_some_of_it_needs():
    """It starts sooner, and `leadline worker` still has a choice of Arrow's memory pool."""
    said = "import sys, leadline.cli; print(*{'pyarrow', 'sklearn', 'faust'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == []


def test_a_worker_does_not_read_what_only_some_stages_need():
    """It takes a twentieth less memory."""
    said = "import sys, leadline.hosts.worker; print(*{'scipy', 'sklearn', 'skops'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == []
