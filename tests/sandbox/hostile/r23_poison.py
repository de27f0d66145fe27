import os
import site
import sys
from pathlib import Path

from attempts import SCRATCH, TMP, attempt, run, tell

packages = Path(os.environ["PATH"].split(":")[0]).parent / "lib"
targets = [
    *(folder / "poison.pth" for folder in packages.glob("python3*/site-packages")),
    *(folder / "sitecustomize.py" for folder in packages.glob("python3*/site-packages")),
    Path(os.__file__).parent / "sitecustomize.py",
    Path("/harness/agent.py"),
    Path("/harness/new.py"),
    Path("/harness/__pycache__/x"),
    Path("/harness/.git/hooks/pre-commit"),
    Path("/etc/ld.so.preload"),
    Path("/hone/lib/sandbox/guest/run_agent.py"),
    Path(site.getusersitepackages()) / "x",
]
for target in targets:
    if not str(target).startswith(SCRATCH):
        attempt(str(target), lambda target=target: target.write_text("poison"))
attempt("chmod", lambda: os.chmod("/harness/agent.py", 0o777))
attempt("rename", lambda: os.rename("/harness/agent.py", "/harness/x.py"))
attempt("delete", lambda: os.unlink("/harness/agent.py"))
Path(TMP, "sitecustomize.py").write_text("print('poisoned')")
tell(user_site=sys.flags.no_user_site)
