"""The version of this program, as its Labs and its requests to servers say it."""

VERSION = "0.1.0"
