// Records what real clients and servers say to each other, with the truth beside it: see README.md.
import { spawn, execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";

const INBOUND = 0, OUTBOUND = 1, TRUTH = 2;
const HAND = { nothing: 1, request: 3, answer: 4 };
const here = import.meta.dirname;
const work = fs.mkdtempSync(path.join(os.tmpdir(), "captures-"));
const rest = (ms) => new Promise((done) => setTimeout(done, ms));
const listen = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));

// Stands between client and server, and writes down what passes, in order.
async function tee(port) {
  const parts = [];
  const note = (kind, bytes) => {
    const head = Buffer.alloc(5);
    head.writeUInt8(kind);
    head.writeUInt32LE(bytes.length, 1);
    parts.push(head, bytes);
  };
  const server = net.createServer((client) => {
    const upstream = net.connect(port, "127.0.0.1");
    client.on("data", (bytes) => { note(INBOUND, bytes); upstream.write(bytes); });
    upstream.on("data", (bytes) => { note(OUTBOUND, bytes); client.write(bytes); });
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on("end", () => other.end());
      one.on("error", () => other.destroy());
    }
  });
  return {
    port: await listen(server),
    // Says what the server has in hand, once everything has come to rest.
    async truth(hand, streams = 0) { await rest(120); note(TRUTH, Buffer.from([HAND[hand], streams])); },
    save(name) { server.close(); fs.writeFileSync(path.join(here, name + ".capture"), Buffer.concat(parts)); },
  };
}

// What every server here answers: at once, after a while, or half and then the rest.
function answer(request, response) {
  request.resume();
  const url = request.url;
  if (url === "/slow") return setTimeout(() => response.end("slow"), 400);
  if (url === "/half") {
    response.write("x".repeat(3000));
    return setTimeout(() => response.end("y".repeat(3000)), 400);
  }
  request.on("end", () => response.end("fast"));
}

// One connection's worth of requests by `ask`, with what is true meanwhile.
async function scene(capture, ask, half = "answer", streams = 0) {
  for (const [url, hand] of [["/fast", null], ["/slow", "request"], ["/half", half], ["/fast", null]]) {
    const done = ask(url);
    if (hand) await capture.truth(hand, streams);
    await done;
    await capture.truth("nothing");
  }
}

function askBy(module, options) {
  return (url) => new Promise((done, failed) => {
    module.request({ host: "127.0.0.1", path: url, ...options }, (response) => response.resume().on("end", done))
      .on("error", failed).end(options.method === "POST" ? "body ".repeat(20) : undefined);
  });
}

function askByHttp2(session) {
  return (url) => new Promise((done, failed) => {
    session.request({ ":path": url }).resume().on("end", done).on("error", failed).end();
  });
}

function certificate() {
  const [key, cert] = [path.join(work, "key.pem"), path.join(work, "cert.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"], { stdio: "ignore" });
  return { key, cert };
}

async function nodeHttp() {
  const server = http.createServer(answer);
  const port = await listen(server);
  for (const [name, options] of [["node-http", {}], ["node-http-post", { method: "POST" }]]) {
    const capture = await tee(port);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await scene(capture, askBy(http, { port: capture.port, agent, ...options }));
    agent.destroy();
    capture.save(name);
  }
  server.closeAllConnections();
  server.close();
}

async function nodeHttp2() {
  const server = http2.createServer(answer);
  const capture = await tee(await listen(server));
  const session = http2.connect(`http://127.0.0.1:${capture.port}`);
  const ask = askByHttp2(session);
  await scene(capture, ask, "answer", 1);
  // Side by side: one is answered at once, the client leaves one, one is answered by half.
  const slow = ["/slow", "/slow", "/fast", "/slow"].map(ask);
  const left = session.request({ ":path": "/slow" });
  left.on("error", () => {}).end();
  await capture.truth("request", 4);
  left.close(http2.constants.NGHTTP2_CANCEL);
  await capture.truth("request", 3);
  const half = ask("/half");
  await capture.truth("answer", 4);
  await Promise.all([...slow, half]);
  await capture.truth("nothing");
  session.close();
  await rest(100);
  capture.save("node-http2");
  server.close();
}

async function nodeTls(files, version) {
  const options = { key: fs.readFileSync(files.key), cert: fs.readFileSync(files.cert) };
  const server = https.createServer({ ...options, minVersion: version, maxVersion: version }, answer);
  const capture = await tee(await listen(server));
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  // Half an answer ends with a whole record: TLS cannot show it.
  await scene(capture, askBy(https, { port: capture.port, agent }), null);
  agent.destroy();
  await rest(100);
  capture.save(`node-${version.toLowerCase().replace("v", "-").replace(".", "")}`);
  server.closeAllConnections();
  server.close();
}

const GO = `package main
import ("net"; "net/http"; "os"; "strings"; "time"; "fmt")
func main() {
  http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
    switch r.URL.Path {
    case "/slow": time.Sleep(400 * time.Millisecond)
    case "/half":
      fmt.Fprint(w, strings.Repeat("x", 3000)); w.(http.Flusher).Flush(); time.Sleep(400 * time.Millisecond)
      fmt.Fprint(w, strings.Repeat("y", 3000)); return
    }
    fmt.Fprint(w, "fast")
  })
  l, _ := net.Listen("tcp4", "127.0.0.1:0"); t, _ := net.Listen("tcp4", "127.0.0.1:0")
  fmt.Println(l.Addr().(*net.TCPAddr).Port, t.Addr().(*net.TCPAddr).Port)
  go http.Serve(l, nil)
  http.ServeTLS(t, nil, os.Args[1], os.Args[2])
}`;

async function goServer(files) {
  const source = path.join(work, "main.go");
  fs.writeFileSync(source, GO);
  execFileSync("go", ["build", "-o", path.join(work, "server"), source], { env: { ...process.env, GOFLAGS: "-mod=mod" } });
  const server = spawn(path.join(work, "server"), [files.cert, files.key], { stdio: ["ignore", "pipe", "inherit"] });
  const [plain, sealed] = String(await new Promise((done) => server.stdout.once("data", done))).trim().split(" ").map(Number);
  const http1 = await tee(plain);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  await scene(http1, askBy(http, { port: http1.port, agent }));
  agent.destroy();
  http1.save("go-http");
  const tls = await tee(sealed);
  const sealedAgent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  await scene(tls, askBy(https, { port: tls.port, agent: sealedAgent }), null);
  sealedAgent.destroy();
  await rest(100);
  tls.save("go-tls-13");
  server.kill();
}

async function nginx() {
  fs.writeFileSync(path.join(work, "index.html"), "n".repeat(20000));
  fs.writeFileSync(path.join(work, "nginx.conf"), `daemon off; master_process off; pid ${work}/pid; error_log stderr;
    events {} http { access_log off; server { listen 127.0.0.1:18091; root ${work}; } }`);
  const server = spawn("nginx", ["-p", work, "-c", path.join(work, "nginx.conf")], { stdio: "ignore" });
  await rest(500);
  const curl = async (name, options) => {
    const capture = await tee(18091);
    const url = `http://127.0.0.1:${capture.port}`;
    const client = spawn("curl", ["-s", ...options, `${url}/`, "-o", "/dev/null", `${url}/none`, "-o", "/dev/null"]);
    await new Promise((done) => client.on("exit", done));
    await capture.truth("nothing");
    capture.save(name);
  };
  await curl("nginx-curl", []);
  await curl("nginx-curl-head", ["-I"]);
  await curl("nginx-curl-range", ["-r", "100-199", "-H", "Connection: keep-alive"]);
  server.kill();
}

const files = certificate();
await nodeHttp();
await nodeHttp2();
await nodeTls(files, "TLSv1.3");
await nodeTls(files, "TLSv1.2");
await goServer(files);
await nginx();
fs.rmSync(work, { recursive: true });
process.exit(0);
