// `server` is what Deno.serve() returned.
Deno.addSignalListener('SIGTERM', async () => {
  await server.shutdown();
  Deno.exit(0);
});
