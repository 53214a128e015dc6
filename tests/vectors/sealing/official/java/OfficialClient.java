// Amazon's S3 Encryption Client for Java as a process: seals or opens what standard input says, answers in JSON.
//
// The same questions and answers as tests/integration/sealing/official_client.py. Not compiled before: run with
//     java -cp 'libs/*' OfficialClient.java < job.json
// where libs/ is what pom.xml needs (mvn dependency:copy-dependencies). Credentials and region come from AWS_*.

import java.net.URI;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.S3EncryptionClientException;
import software.amazon.encryption.s3.materials.KmsKeyring;

public class OfficialClient {
    public static void main(String[] arguments) throws Exception {
        JsonNode job = JsonNode.parser().parse(System.in);
        URI storage = URI.create(text(job, "s3"));
        List<String> answers = new ArrayList<>();
        try (KmsClient service = KmsClient.builder().endpointOverride(URI.create(text(job, "kms"))).build();
                S3Client plain = S3Client.builder().endpointOverride(storage).forcePathStyle(true).build();
                S3AsyncClient plainAsync =
                        S3AsyncClient.builder().endpointOverride(storage).forcePathStyle(true).build();
                S3EncryptionClient client = S3EncryptionClient.builderV4()
                        .keyring(KmsKeyring.builder().kmsClient(service).wrappingKeyId("alias/strongroom").build())
                        .wrappedClient(plain)
                        .wrappedAsyncClient(plainAsync)
                        .build()) {
            for (JsonNode task : job.field("tasks").get().asArray()) {
                answers.add(answer(client, text(job, "bucket"), task));
            }
        }
        System.out.println("[" + String.join(", ", answers) + "]");
        System.exit(0); // threads of the SDK would go on waiting
    }

    private static String answer(S3EncryptionClient client, String bucket, JsonNode task) {
        String key = text(task, "key");
        Map<String, String> context = task.field("context").get().asObject().entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, pair -> pair.getValue().asString()));
        try {
            if (task.field("plain").isPresent()) {
                byte[] content = Base64.getDecoder().decode(text(task, "plain"));
                client.putObject(
                        request -> request.bucket(bucket)
                                .key(key)
                                .overrideConfiguration(S3EncryptionClient.withAdditionalConfiguration(context)),
                        RequestBody.fromBytes(content));
                return "{\"put\": true}";
            }
            byte[] content = client.getObjectAsBytes(request -> request.bucket(bucket)
                            .key(key)
                            .overrideConfiguration(S3EncryptionClient.withAdditionalConfiguration(context)))
                    .asByteArray();
            return said("plain", Base64.getEncoder().encodeToString(content));
        } catch (S3EncryptionClientException refusal) {
            return said("refused", refusal.toString());
        }
    }

    private static String said(String what, String value) {
        return "{\"" + what + "\": \"" + value.replaceAll("[^ !#-\\[\\]-~]", "?") + "\"}";
    }

    private static String text(JsonNode node, String name) {
        return node.field(name).get().asString();
    }
}
