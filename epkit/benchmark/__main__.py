"""`python -m epkit.benchmark`."""

from epkit.benchmark import main

if __name__ == "__main__":
    main()
