# The server itself, not the package manager that starts it.
CMD ["node", "server.js"]
