"""`python -m worker` is `qa-worker`."""

from worker.cli import main

if __name__ == "__main__":
    main()
