// In place of any other handler of SIGTERM. `server` is what http.createServer() or
// app.listen() returned (Fastify: app.server; Nest: app.getHttpServer()).
process.on('SIGTERM', () => {
  // No new connections; the callback runs when the last one has ended.
  server.close(() => process.exit(0));
  // Whoever asks again on an open connection is told that it is the last answer.
  server.prependListener('request', (request, response) => {
    response.setHeader('Connection', 'close');
  });
  // Connections that become idle only from now on would be waited for.
  setInterval(() => server.closeIdleConnections(), 100).unref();
});
