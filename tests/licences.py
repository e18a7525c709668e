"""Every crate in the build has a licence that goes with Apache-2.0."""

import json
import subprocess
import sys

ACCEPTED = {
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "Unlicense", "CC0-1.0",
    "Unicode-3.0", "MIT-0", "0BSD", "BSL-1.0", "Apache-2.0 WITH LLVM-exception", "CDLA-Permissive-2.0",
    "bzip2-1.0.6", "MPL-2.0", "OpenSSL",
}


def acceptable(expression: str) -> bool:
    """True where one side of every OR is accepted; AND needs all."""
    expression = expression.replace("(", " ").replace(")", " ").replace("/", " OR ")
    alternatives = [part.strip() for part in expression.split(" OR ")]
    return any(all(term.strip() in ACCEPTED for term in part.split(" AND ")) for part in alternatives)


metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--locked"], check=True, capture_output=True
    ).stdout
)
refused = [
    f"{package['name']} {package['version']}: {package['license']}"
    for package in metadata["packages"]
    if not acceptable(package["license"] or "")
]
print(f"{len(metadata['packages'])} packages, {len(refused)} with a licence that is not accepted")
for line in refused:
    print(" ", line)
sys.exit(bool(refused))
