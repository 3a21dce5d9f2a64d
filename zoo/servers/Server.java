import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A server of the JDK; the one argument names how it treats the end. */
public final class Server {
    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static void work(String query) throws InterruptedException {
        String value = query.substring(query.indexOf('=') + 1);
        if (query.startsWith("ms=")) {
            Thread.sleep(Long.parseLong(value));
        }
        while (query.startsWith("gate=") && !Files.exists(Path.of(System.getenv("GATES"), value))) {
            Thread.sleep(5);
        }
    }

    /** Chunks without end; the first ones are with the kernel when `parted` is said. */
    private static void stream(HttpExchange exchange, int peer) throws IOException {
        exchange.sendResponseHeaders(200, 0);
        for (int number = 0; ; number++) {
            exchange.getResponseBody().write(("part " + number + "\n").getBytes());
            exchange.getResponseBody().flush();
            if (number == 2) say("parted " + peer);
            try {
                Thread.sleep(20);
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static void answer(HttpExchange exchange) throws IOException {
        int peer = exchange.getRemoteAddress().getPort();
        say("read " + peer);
        String query = exchange.getRequestURI().getQuery();
        try {
            if (query != null) work(query);
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
        if (exchange.getRequestURI().getPath().equals("/stream")) {
            stream(exchange, peer);
        }
        byte[] body = "ok\n".getBytes();
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
        say("answered " + peer);
    }

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress(System.getenv("ADDRESS"), port), 128);
        ExecutorService workers = Executors.newCachedThreadPool();
        server.setExecutor(workers);
        server.createContext("/", Server::answer);
        if (arguments[0].equals("drain")) {
            // stop() closes the listener, waits so many seconds for exchanges, then closes the rest.
            Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(5)));
        } else if (!arguments[0].equals("none")) {
            throw new IllegalArgumentException(arguments[0]);
        }
        server.start();
        say("listening");
    }
}
