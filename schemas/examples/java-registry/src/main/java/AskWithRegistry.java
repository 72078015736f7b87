import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.io.File;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Ask one question in Avro and read its answer in Avro, with the schemas in Apicurio Registry.
 *
 * <pre>
 * mvn -q compile
 * java -cp 'target/classes:target/dependency/*' AskWithRegistry ../../published/question.avsc QUESTION CONTEXT
 * </pre>
 *
 * The worker needs SCHEMA_REGISTRY_URL, the registry's address for Confluent's clients (/apis/ccompat/v7), and
 * QA_ANSWER_FORMAT=avro. Prints the answer, or why the question was rejected. Environment variables:
 * KAFKA_BOOTSTRAP_SERVERS, QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC, QA_DEAD_LETTERS_TOPIC, APICURIO_REGISTRY_URL.
 *
 * With Confluent's KafkaAvroSerializer and KafkaAvroDeserializer, and schema.registry.url, the bytes are the same.
 */
public final class AskWithRegistry {
    private static final String SERVERS = setting("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
    private static final String REGISTRY = setting("APICURIO_REGISTRY_URL", "http://localhost:8080/apis/registry/v3");
    private static final String QUESTIONS = setting("QA_QUESTIONS_TOPIC", "qa.questions");
    private static final String ANSWERS = setting("QA_ANSWERS_TOPIC", "qa.answers");
    private static final String DEAD_LETTERS = setting("QA_DEAD_LETTERS_TOPIC", "qa.questions.dead");
    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    public static void main(String[] arguments) throws Exception {
        Schema schema = new Schema.Parser().parse(new File(arguments[0]));
        GenericRecord value = new GenericRecordBuilder(schema)
                .set("question", arguments[1])
                .set("context", arguments[2])
                .build();
        String correlationId = UUID.randomUUID().toString();
        try (var consumer = consumer(); var producer = producer(); var deserializer = deserializer()) {
            seekToEnd(consumer);
            var question = new ProducerRecord<>(QUESTIONS, "example", value);
            // The worker copies this header to the answer.
            question.headers().add("correlation-id", correlationId.getBytes(StandardCharsets.UTF_8));
            producer.send(question).get();
            var outcome = await(consumer, correlationId);
            if (outcome.topic().equals(DEAD_LETTERS)) {
                throw new IllegalArgumentException("rejected: " + header(outcome, "qa.reason") + ": "
                        + header(outcome, "__connect.errors.exception.message"));
            }
            GenericRecord answer = deserializer.deserialize(ANSWERS, outcome.headers(), outcome.value());
            new PrintStream(System.out, true, StandardCharsets.UTF_8).println(answer);
        }
    }

    private static KafkaProducer<String, GenericRecord> producer() {
        Map<String, Object> settings = Map.of("bootstrap.servers", SERVERS);
        var serializer = new AvroKafkaSerializer<GenericRecord>();
        // Registers the schema under the subject <topic>-value, unless it is. The id in 4 bytes before the value is
        // the default from version 3 on; version 2 needs apicurio.registry.id-handler and apicurio.registry.use-id.
        serializer.configure(
                Map.of("apicurio.registry.url", REGISTRY, "apicurio.registry.auto-register", true), false);
        return new KafkaProducer<>(settings, new StringSerializer(), serializer);
    }

    private static AvroKafkaDeserializer<GenericRecord> deserializer() {
        var deserializer = new AvroKafkaDeserializer<GenericRecord>();
        deserializer.configure(Map.of("apicurio.registry.url", REGISTRY), false);
        return deserializer;
    }

    /** Dead letters have the bytes of their question, so values are deserialized where they are answers. */
    private static KafkaConsumer<String, byte[]> consumer() {
        Map<String, Object> settings = Map.of("bootstrap.servers", SERVERS, "isolation.level", "read_committed");
        return new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer());
    }

    /** Moves the consumer to the current end of both output topics, before the question is sent. */
    private static void seekToEnd(KafkaConsumer<String, byte[]> consumer) {
        List<TopicPartition> partitions = Stream.of(ANSWERS, DEAD_LETTERS)
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(found -> new TopicPartition(found.topic(), found.partition()))
                .toList();
        consumer.assign(partitions);
        consumer.seekToEnd(partitions);
        partitions.forEach(consumer::position);
    }

    private static ConsumerRecord<String, byte[]> await(KafkaConsumer<String, byte[]> consumer, String correlationId) {
        Instant deadline = Instant.now().plus(TIMEOUT);
        while (Instant.now().isBefore(deadline)) {
            for (var found : consumer.poll(Duration.ofMillis(500))) {
                if (correlationId.equals(header(found, "correlation-id"))) {
                    return found;
                }
            }
        }
        throw new IllegalStateException("no answer within " + TIMEOUT.toSeconds() + " s: is a worker running?");
    }

    private static String header(ConsumerRecord<?, ?> from, String name) {
        Header header = from.headers().lastHeader(name);
        return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    private static String setting(String name, String defaultValue) {
        return System.getenv().getOrDefault(name, defaultValue);
    }
}
