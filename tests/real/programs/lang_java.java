import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import javax.net.ssl.HttpsURLConnection;

/** Java's HTTP clients: one call with the client that is named, and its answer as it came. */
class Lang {
    static final String KEY = "Bearer sk-test-000";

    static String httpClient(String url, String body) throws Exception {
        var request =
                HttpRequest.newBuilder(URI.create(url))
                        .header("Authorization", KEY)
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body))
                        .build();
        return HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
    }

    static String urlConnection(String url, String body) throws IOException {
        var connection = (HttpsURLConnection) new URL(url).openConnection();
        connection.setDoOutput(true);
        connection.setRequestProperty("Authorization", KEY);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.getOutputStream().write(body.getBytes());
        return new String(connection.getInputStream().readAllBytes());
    }

    public static void main(String[] words) throws Exception {
        var client = words[0];
        System.out.println(
                client.equals("HttpClient")
                        ? httpClient(words[1], words[2])
                        : urlConnection(words[1], words[2]));
    }
}
