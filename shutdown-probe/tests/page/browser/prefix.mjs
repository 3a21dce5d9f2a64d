// A proxy that serves a site below a path, as the API server's does for a pod.

import http from 'node:http';

export async function behindPrefix(site, prefix) {
  const strays = [];
  const server = http.createServer((request, response) => {
    if (!request.url.startsWith(prefix)) {
      if (request.url !== '/favicon.ico') strays.push(request.url);
      response.writeHead(404).end();
      return;
    }
    const target = new URL(request.url.slice(prefix.length), site);
    http.get(target, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}${prefix}`;
  return { url, strays, close: () => server.close() };
}
