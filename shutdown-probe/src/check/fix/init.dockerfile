# An init that passes signals on (or docker run --init).
ENTRYPOINT ["tini", "--"]
