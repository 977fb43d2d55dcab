// An adapter: talks to the server of docs/tutorial. One JSON object a line, in and out.
// Run it as it is: java docs/adapters/Client.java. The JSON is flat enough for a pattern.
import java.io.*;
import java.net.*;
import java.net.http.*;
import java.time.Duration;
import java.util.Map;
import java.util.regex.*;

public class Client {
    static final Map<String, String> METHODS = Map.of("read", "GET", "write", "PUT", "cas", "POST");
    static HttpClient client;
    static String addr;
    static Duration patience;

    static String field(String line, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":(?:\"([^\"]*)\"|(\\[[^\\]]*\\]|[^,}]*))").matcher(line);
        if (!found.find()) return "";
        return found.group(1) != null ? found.group(1) : found.group(2);
    }

    static String perform(String line) throws Exception {
        switch (field(line, "type")) {
            case "open":
                addr = field(line, "addr");
                patience = Duration.ofMillis(Long.parseLong(field(line, "timeout_ms")));
                client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(patience).build();
                return "\"ok\"";
            case "close":
                client = null;
                return "\"ok\"";
        }
        String f = field(line, "f"), method = METHODS.get(f);
        if (method == null) return "\"fail\",\"error\":\"not-supported\"";
        String body = f.equals("read") ? "" : field(line, "value").replaceAll("[\\[\\]]", "").replace(",", " ");
        HttpRequest call = HttpRequest.newBuilder(URI.create("http://" + addr + "/" + field(line, "key")))
            .timeout(patience).method(method, HttpRequest.BodyPublishers.ofString(body)).build();
        HttpResponse<String> reply = client.send(call, HttpResponse.BodyHandlers.ofString());
        int status = reply.statusCode();
        if (f.equals("read") && status == 200) return "\"ok\",\"value\":" + reply.body();
        if (f.equals("read") && status == 404) return "\"ok\",\"value\":null";
        if (status == 200) return "\"ok\"";
        return (status == 409 ? "\"fail\"" : "\"info\"") + ",\"error\":\"status " + status + "\"";
    }

    public static void main(String[] args) throws IOException {
        // Java repeats a request on its own if the connection breaks; an operation must not be.
        System.setProperty("jdk.httpclient.disableRetryConnect", "true");
        System.setProperty("jdk.httpclient.enableAllMethodRetry", "false");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String answer;
            try {
                answer = perform(line);
            } catch (Exception error) { // The request may have arrived: nobody knows.
                answer = "\"info\",\"error\":\"" + error.getClass().getSimpleName() + "\"";
            }
            System.out.println("{\"id\":" + field(line, "id") + ",\"type\":" + answer + "}");
        }
    }
}
