import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * Lets clients log in as Amazon MSK does: the token is a presigned URL (Signature Version 4), whose
 * signature is recomputed with the secret key. Options of the JAAS entry: accessKeyId, secretKey,
 * region, principal.
 */
public final class SigV4Validator implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter DATE =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    /** Added by the client after it has signed the rest. */
    private static final Set<String> UNSIGNED = Set.of("X-Amz-Signature", "User-Agent");

    private Map<String, ?> options;

    @Override
    public void configure(
            Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        options = entries.get(0).getOptions();
    }

    @Override
    public void handle(Callback[] callbacks) {
        for (Callback each : callbacks) {
            // The other kind asks about SASL extensions; the worker sends none.
            if (each instanceof OAuthBearerValidatorCallback callback) {
                try {
                    callback.token(validate(callback.tokenValue()));
                } catch (Exception refused) {
                    callback.error("invalid_token", null, null);
                }
            }
        }
    }

    @Override
    public void close() {}

    private OAuthBearerToken validate(String token) throws Exception {
        URI url = URI.create(new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8));
        TreeMap<String, String> query = new TreeMap<>();
        for (String parameter : url.getRawQuery().split("&")) {
            String[] parts = parameter.split("=", 2);
            query.put(parts[0], parts[1]);
        }
        String day = query.get("X-Amz-Date").substring(0, 8);
        String region = option("region");
        String scope = String.join("/", day, region, "kafka-cluster", "aws4_request");
        require(url.getHost().equals("kafka." + region + ".amazonaws.com"));
        require(query.get("Action").equals("kafka-cluster%3AConnect"));
        require(query.get("X-Amz-SignedHeaders").equals("host"));
        String credential = query.get("X-Amz-Credential").replace("%2F", "/");
        require(credential.equals(option("accessKeyId") + "/" + scope));
        Instant signed = DATE.parse(query.get("X-Amz-Date"), Instant::from);
        Instant expires = signed.plusSeconds(Long.parseLong(query.get("X-Amz-Expires")));
        require(Instant.now().isBefore(expires));
        require(Duration.between(signed, expires).toMinutes() <= 15);

        String canonicalQuery =
                query.entrySet().stream()
                        .filter(entry -> !UNSIGNED.contains(entry.getKey()))
                        .map(entry -> entry.getKey() + "=" + entry.getValue())
                        .collect(Collectors.joining("&"));
        String canonical =
                String.join(
                        "\n", "GET", "/", canonicalQuery, "host:" + url.getHost(), "", "host", sha256(""));
        String toSign =
                String.join(
                        "\n", "AWS4-HMAC-SHA256", query.get("X-Amz-Date"), scope, sha256(canonical));
        byte[] key = ("AWS4" + option("secretKey")).getBytes(StandardCharsets.UTF_8);
        for (String part : scope.split("/")) {
            key = hmac(key, part);
        }
        byte[] signature = HexFormat.of().parseHex(query.get("X-Amz-Signature"));
        require(Arrays.equals(signature, hmac(key, toSign)));
        return new Token(token, option("principal"), signed.toEpochMilli(), expires.toEpochMilli());
    }

    private String option(String name) {
        return (String) options.get(name);
    }

    private static void require(boolean condition) {
        if (!condition) {
            throw new IllegalArgumentException();
        }
    }

    private static String sha256(String text) throws Exception {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private static byte[] hmac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private record Token(String value, String principalName, long startMs, long lifetimeMs)
            implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }

        @Override
        public Long startTimeMs() {
            return startMs;
        }
    }
}
