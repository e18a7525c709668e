"""`cargo run` without further words starts the database.

Cargo refuses to choose where several programs of the default packages could be meant, and a build of
the workspace does not notice.
"""

import json
import subprocess
import sys

metadata = json.loads(subprocess.check_output(
    ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]))
defaults = set(metadata["workspace_default_members"])
packages = [package for package in metadata["packages"] if package["id"] in defaults]
named = [package["default_run"] for package in packages if package["default_run"]]
programs = named or [
    target["name"] for package in packages for target in package["targets"] if "bin" in target["kind"]]
if programs != ["terrane"]:
    sys.exit(f"cargo run would start one of: {', '.join(programs)}")
print("cargo run starts terrane")
