package clients;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a runner is to do, one JSON document on standard input, and how it tells what came of it. */
final class Plan {
    String endpoint;
    List<Call> calls;

    /** One call; the names are those of the document. */
    static final class Call {
        String action;
        Map<String, String> params;
        String key_id;
        String secret;
    }

    static Plan read() {
        return new Gson().fromJson(new InputStreamReader(System.in, StandardCharsets.UTF_8), Plan.class);
    }

    static void tell(JsonObject outcome) {
        new PrintStream(System.out, true, StandardCharsets.UTF_8).println(outcome);
    }

    static JsonObject returned(String type, String body) {
        JsonObject outcome = new JsonObject();
        outcome.addProperty("returned", type);
        outcome.addProperty("body", body);
        return outcome;
    }

    static JsonObject raised(Throwable error, String code, String message, Integer status) {
        Map<String, Object> outcome = new LinkedHashMap<>();
        outcome.put("raised", error.getClass().getSimpleName());
        outcome.put("code", code);
        outcome.put("message", message == null ? String.valueOf(error) : message);
        outcome.put("status", status);
        return new Gson().toJsonTree(outcome).getAsJsonObject();
    }
}
