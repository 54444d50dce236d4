"""The programs that write golden files need torch, which the tests do not."""

collect_ignore_glob = ["write_*.py"]
