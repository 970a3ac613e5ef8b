package clients;

import com.aliyuncs.AcsRequest;
import com.aliyuncs.AcsResponse;
import com.aliyuncs.DefaultAcsClient;
import com.aliyuncs.auth.SignatureVersion;
import com.aliyuncs.auth.signers.SignatureAlgorithm;
import com.aliyuncs.exceptions.ClientException;
import com.aliyuncs.http.FormatType;
import com.aliyuncs.http.MethodType;
import com.aliyuncs.profile.DefaultProfile;
import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.lang.reflect.Method;
import java.util.Map;

/** Calls through the classes of the first generation; its argument is the signature, rpc or v3. */
final class V1 {
    private static final String REQUESTS = "com.aliyuncs.dyplsapi.model.v20170525.";

    /** The typed answers have no JSON of their own: their members, spelt as on the wire. */
    private static final Gson WIRE =
            new GsonBuilder().setFieldNamingPolicy(FieldNamingPolicy.UPPER_CAMEL_CASE).create();

    public static void main(String[] arguments) throws Exception {
        Plan plan = Plan.read();
        for (Plan.Call call : plan.calls) {
            Plan.tell(outcome(plan, call, arguments[0].equals("v3")));
        }
    }

    private static JsonObject outcome(Plan plan, Plan.Call call, boolean v3) throws Exception {
        DefaultAcsClient client = new DefaultAcsClient(
                DefaultProfile.getProfile("cn-hangzhou", call.key_id, call.secret));
        AcsRequest<?> request = (AcsRequest<?>)
                Class.forName(REQUESTS + call.action + "Request").getConstructor().newInstance();
        request.setSysEndpoint(plan.endpoint);
        request.setSysMethod(MethodType.POST);
        if (v3) {
            request.setSysSignatureVersion(SignatureVersion.V3);
            request.setSysSignatureAlgorithm(SignatureAlgorithm.ACS3_HMAC_SHA256);
        }
        for (Map.Entry<String, String> parameter : call.params.entrySet()) {
            set(request, parameter.getKey(), parameter.getValue());
        }
        try {
            AcsResponse response = client.getAcsResponse(request);
            return Plan.returned(response.getClass().getSimpleName(), WIRE.toJson(response));
        } catch (ClientException error) {
            JsonObject outcome =
                    Plan.raised(error, error.getErrCode(), error.getErrMsg(), null);
            outcome.addProperty("request_id", error.getRequestId());
            return outcome;
        } finally {
            client.shutdown();
        }
    }

    private static void set(AcsRequest<?> request, String name, String value) throws Exception {
        for (Method method : request.getClass().getMethods()) {
            if (method.getName().equals("set" + name)) {
                boolean isFlag = method.getParameterTypes()[0] == Boolean.class;
                method.invoke(request, isFlag ? Boolean.valueOf(value) : value);
                return;
            }
        }
        throw new NoSuchMethodException("set" + name);
    }
}
