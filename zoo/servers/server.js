// The story's service, in the styles in which services end: the first argument names it. The second
// may be `http2`, or `lines`: a protocol of lines, each answered by `+OK`, and `WAIT` by nothing.
'use strict';

const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const tls = require('node:tls');

const style = process.argv[2];
const isHttp2 = process.argv[3] === 'http2';
const isLines = process.argv[3] === 'lines';
const port = Number(process.env.PORT);
let stopping = false;

function say(line) {
  process.stdout.write(line + '\n');
}

function answer(request, response) {
  // Behind a proxy it is the proxy that knows.
  const peer = request.headers['x-client-port'] || request.socket.remotePort;
  say(`read ${peer}`);
  const url = new URL(request.url, 'http://zoo');
  const milliseconds = Number(url.searchParams.get('ms') || 0);
  const gate = url.searchParams.get('gate');
  const finish = () => {
    if (stopping && style === 'drain' && !isHttp2) response.setHeader('Connection', 'close');
    response.end('ok\n', () => say(`answered ${peer}`));
  };
  if (url.pathname === '/ping') {
    // Once the answer is out.
    response.end('ok\n', () => request.stream.session.ping(() => say(`ponged ${peer}`)));
  } else if (url.pathname === '/empty') {
    response.writeHead(204);
    response.end(() => say(`answered ${peer}`));
  } else if (url.pathname === '/large') {
    response.end('x'.repeat(Number(url.searchParams.get('bytes'))), () => say(`answered ${peer}`));
  } else if (url.pathname === '/events') {
    response.setHeader('Content-Type', 'text/event-stream');
    response.write(': begun\n\n');
    const timer = setInterval(() => response.write('data: news\n\n'), 20);
    response.on('close', () => clearInterval(timer));
  } else if (url.pathname === '/stream') {
    response.write('begun\n');
    setTimeout(() => response.end('ended\n'), milliseconds);
  } else if (gate) {
    const timer = setInterval(() => {
      if (!fs.existsSync(path.join(process.env.GATES, gate))) return;
      clearInterval(timer);
      finish();
    }, 5);
  } else if (milliseconds > 0) {
    setTimeout(finish, milliseconds);
  } else {
    finish();
  }
}

function converse(socket) {
  const { remotePort } = socket;
  readline.createInterface({ input: socket }).on('line', (line) => {
    say(`read ${remotePort}`);
    if (line !== 'WAIT') socket.write('+OK\r\n', () => say(`answered ${remotePort}`));
  });
}

function create() {
  if (!process.env.CERTIFICATE) return isHttp2 ? http2.createServer(answer) : http.createServer(answer);
  const secret = { cert: fs.readFileSync(process.env.CERTIFICATE), key: fs.readFileSync(process.env.KEY) };
  // Whoever shows the same certificate is known.
  if (process.env.MUTUAL) Object.assign(secret, { ca: secret.cert, requestCert: true });
  if (isLines) return tls.createServer(secret, converse);
  const server = isHttp2 ? http2.createSecureServer(secret, answer) : https.createServer(secret, answer);
  server.on('secureConnection', (socket) => say(`secured ${socket.remotePort}`));
  return server;
}

const server = create();
const sessions = new Set();
server.on('session', (session) => {
  sessions.add(session);
  session.on('close', () => sessions.delete(session));
});

const handlers = {
  // Nothing is handled: the default action of SIGTERM, or none for PID 1.
  'none': null,
  // The worst of the well-meant ones.
  'exit': () => process.exit(0),
  // Waits for every connection, also for those that become idle only after this call.
  'close': () => server.close(() => process.exit(0)),
  // Stops accepting, lets go of the idle ones, finishes the rest and asks its clients to leave.
  'drain': () => {
    stopping = true;
    server.close(() => process.exit(0));
    if (isHttp2) {
      // GOAWAY; each ends with its last stream.
      for (const session of sessions) session.close();
    } else {
      server.closeIdleConnections();
    }
    say('closed');
  },
};

const handler = handlers[style];
if (handler === undefined) throw new Error(`unknown style ${style}`);
server.on('sessionError', (error) => say(`session error: ${error.message}`));
if (handler) process.on('SIGTERM', handler);
server.listen(port, process.env.ADDRESS, () => say('listening'));
