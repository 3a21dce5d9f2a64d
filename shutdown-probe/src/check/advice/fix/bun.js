// `server` is what Bun.serve() returned.
process.on('SIGTERM', async () => {
  await server.stop();
  process.exit(0);
});
