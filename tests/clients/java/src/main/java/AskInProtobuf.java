import acme.Envelope;
import com.google.protobuf.util.JsonFormat;
import io.apicurio.registry.serde.protobuf.ProtobufKafkaDeserializer;
import io.apicurio.registry.serde.protobuf.ProtobufKafkaSerializer;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import qa_worker.AnswerOuterClass.Answer;

/**
 * AskInProtobuf QUESTION CONTEXT SUBJECT: asks twice, and prints each answer as JSON in a line. Registers the schema
 * first, and then uses the latest one of the subject.
 */
public final class AskInProtobuf {
    public static void main(String[] arguments) throws Exception {
        ask(arguments[0], arguments[1], null);
        ask(arguments[0], arguments[1], arguments[2]);
    }

    private static void ask(String question, String context, String subject) throws Exception {
        Map<String, String> environment = System.getenv();
        String servers = environment.get("KAFKA_BOOTSTRAP_SERVERS");
        String answers = environment.get("QA_ANSWERS_TOPIC");
        var registry = new HashMap<String, Object>(Map.of(
                "apicurio.registry.url", environment.get("APICURIO_REGISTRY_URL"),
                "apicurio.registry.auto-register", subject == null,
                "apicurio.registry.find-latest", subject != null,
                // As Confluent's serializers do: message indexes, and no message that names the type.
                "apicurio.registry.serde.send-indexes", true,
                "apicurio.registry.serde.send-type-ref", false,
                "apicurio.registry.serde.read-indexes", true,
                "apicurio.registry.serde.read-type-ref", false,
                // It looks for messages at the top level only.
                "apicurio.registry.serde.validation-enabled", false,
                "apicurio.registry.deserializer.value.return-class", Answer.class.getName()));
        if (subject != null) {
            registry.put("apicurio.registry.artifact.artifact-id", subject);
        }
        var serializer = new ProtobufKafkaSerializer<Envelope.Ask>();
        serializer.configure(registry, false);
        var deserializer = new ProtobufKafkaDeserializer<Answer>();
        deserializer.configure(registry, false);
        String id = UUID.randomUUID().toString();
        Map<String, Object> kafka = Map.of("bootstrap.servers", servers);
        try (var producer = new KafkaProducer<>(kafka, new StringSerializer(), serializer);
                var consumer = new KafkaConsumer<>(kafka, new StringDeserializer(), deserializer)) {
            var ask = Envelope.Ask.newBuilder()
                    .setId(id)
                    .setQuestion(question)
                    .setContext(context)
                    .putMetadata("tenant", "a")
                    .build();
            producer.send(new ProducerRecord<>(environment.get("QA_QUESTIONS_TOPIC"), 0, "k", ask)).get();
            var partitions = consumer.partitionsFor(answers).stream()
                    .map(each -> new TopicPartition(answers, each.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            for (int attempt = 0; attempt < 120; attempt++) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    if (!record.value().getId().equals(id)) {
                        continue;
                    }
                    var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
                    out.println(JsonFormat.printer()
                            .preservingProtoFieldNames()
                            .omittingInsignificantWhitespace()
                            .print(record.value()));
                    return;
                }
            }
        }
        throw new IllegalStateException("no answer");
    }
}
