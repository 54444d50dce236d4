"""Golden files of the chapter; the programs that write them need torch, which the tests do not."""

collect_ignore_glob = ["write_*.py"]
