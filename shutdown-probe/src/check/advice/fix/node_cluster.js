// In place of any other handler of SIGTERM, in the primary and in its workers. `server` is what
// http.createServer() or app.listen() returned (Fastify: app.server; Nest: app.getHttpServer()).
const cluster = require('node:cluster');
process.on('SIGTERM', () => {
  // Workers get no signal of their own. The primary ends with the last of them.
  const workers = Object.values(cluster.workers ?? {});
  if (workers.length > 0) {
    workers.forEach((worker) => worker.process.kill());
    return;
  }
  // No new connections; the callback runs when the last one has ended.
  server.close(() => process.exit(0));
  // Whoever asks again on an open connection is told that it is the last answer.
  server.prependListener('request', (request, response) => {
    response.setHeader('Connection', 'close');
  });
  // Connections that become idle only from now on would be waited for.
  setInterval(() => server.closeIdleConnections(), 100).unref();
});
