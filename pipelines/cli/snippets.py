"""`pipelines cache snippet github|gitlab`: what to put into a CI's own file.

Actions are pinned by digest. Nothing here needs an account elsewhere: caches are kept where the
CI keeps its own, as a directory. `docs/guides/ci-caches.md` shows the same texts, held equal by a
test, and says what to change for S3 or a registry.
"""

import argparse
import sys

__all__ = ["SNIPPETS", "main"]

GITHUB = """\
jobs:
  pipeline:
    runs-on: ubuntu-latest
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0
        with:
          python-version: "3.13"
      - uses: actions/cache/restore@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0
        with:
          path: .pipelines-cache
          key: pipelines-${{ github.run_id }}-${{ github.run_attempt }}
          restore-keys: pipelines-
      - run: pip install -r requirements.txt
      - run: pipelines run release --export dist
        env:
          PIPELINES_CACHE_URL: .pipelines-cache
      - run: pipelines cache report
      - uses: actions/cache/save@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0
        if: always()
        with:
          path: .pipelines-cache
          key: pipelines-${{ github.run_id }}-${{ github.run_attempt }}
"""

GITLAB = """\
pipeline:
  image: python:3.13
  variables:
    PIPELINES_CACHE_URL: .pipelines-cache
  cache:
    key: pipelines-$CI_COMMIT_REF_SLUG
    fallback_keys:
      - pipelines-$CI_DEFAULT_BRANCH
    paths:
      - .pipelines-cache
    when: always
  script:
    - pip install -r requirements.txt
    - pipelines run release --export dist
    - pipelines cache report
  artifacts:
    paths:
      - dist
"""

SNIPPETS = {"github": GITHUB, "gitlab": GITLAB}


def main(options: argparse.Namespace) -> int:
    """Print a snippet."""
    sys.stdout.write(SNIPPETS[options.ci])
    return 0
