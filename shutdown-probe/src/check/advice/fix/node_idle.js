// `server` is what http.createServer() or app.listen() returned
// (Fastify: app.server; Nest: app.getHttpServer()).
process.on('SIGTERM', () => {
  // Whoever asks again on an open connection is told that it is the last answer.
  server.prependListener('request', (request, response) => {
    response.setHeader('Connection', 'close');
  });
  // Connections that become idle only after server.close() would be waited for.
  setInterval(() => server.closeIdleConnections(), 100).unref();
});
