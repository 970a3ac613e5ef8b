package clients;

import com.aliyun.auth.credentials.Credential;
import com.aliyun.auth.credentials.provider.StaticCredentialProvider;
import com.aliyun.core.http.HttpMethod;
import com.aliyun.sdk.gateway.pop.clients.CommonAsyncClient;
import com.aliyun.sdk.gateway.pop.exception.PopClientException;
import com.aliyun.sdk.gateway.pop.exception.PopServerException;
import com.aliyun.sdk.gateway.pop.models.CommonRequest;
import com.aliyun.sdk.gateway.pop.models.CommonResponse;
import com.google.gson.Gson;
import com.google.gson.JsonObject;
import darabonba.core.client.ClientOverrideConfiguration;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/** Calls through the asynchronous core; its argument says where parameters stand, query or form. */
final class AsyncCore {
    public static void main(String[] arguments) throws Exception {
        Plan plan = Plan.read();
        for (Plan.Call call : plan.calls) {
            Plan.tell(outcome(plan, call, arguments[0].equals("form")));
        }
        // Threads of the core's transport would keep the process.
        System.exit(0);
    }

    private static JsonObject outcome(Plan plan, Plan.Call call, boolean inForm) throws Exception {
        Credential credential =
                Credential.builder().accessKeyId(call.key_id).accessKeySecret(call.secret).build();
        CommonAsyncClient client = CommonAsyncClient.builder()
                .region("cn-hangzhou")
                .credentialsProvider(StaticCredentialProvider.create(credential))
                .overrideConfiguration(ClientOverrideConfiguration.create()
                        .setProtocol("HTTP")
                        .setEndpointOverride(plan.endpoint))
                .build();
        CommonRequest.Builder request = CommonRequest.builder()
                .product("Dyplsapi")
                .version("2017-05-25")
                .action(call.action)
                .path("/")
                .httpMethod(HttpMethod.POST)
                .requestBodyType(inForm ? "formData" : "json")
                .isFormData(inForm)
                .responseBodyType("json");
        for (Map.Entry<String, String> parameter : call.params.entrySet()) {
            if (inForm) {
                request.putBodyParameters(parameter.getKey(), parameter.getValue());
            } else {
                request.putQueryParameters(parameter.getKey(), parameter.getValue());
            }
        }
        try {
            CommonResponse response = client.callApi(request.build()).get(60, TimeUnit.SECONDS);
            JsonObject outcome = Plan.returned(
                    response.getClass().getSimpleName(), new Gson().toJson(response.getBody()));
            outcome.add("headers", new Gson().toJsonTree(response.getHeaders()));
            return outcome;
        } catch (ExecutionException error) {
            Throwable cause = error.getCause();
            if (cause instanceof PopClientException) {
                PopClientException refused = (PopClientException) cause;
                JsonObject outcome = Plan.raised(
                        refused, refused.getErrCode(), refused.getErrMessage(), refused.getStatusCode());
                outcome.addProperty("request_id", refused.getRequestId());
                return outcome;
            }
            if (cause instanceof PopServerException) {
                PopServerException refused = (PopServerException) cause;
                return Plan.raised(
                        refused, refused.getErrCode(), refused.getErrMessage(), refused.getStatusCode());
            }
            return Plan.raised(cause, null, null, null);
        } finally {
            client.close();
        }
    }
}
