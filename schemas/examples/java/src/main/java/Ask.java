import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Ask one question through Kafka, with Apache Kafka's own client.
 *
 * <pre>
 * mvn -q compile
 * java -cp 'target/classes:target/dependency/*' Ask QUESTION CONTEXT
 * </pre>
 *
 * Prints the answer event, or why the question was rejected. Environment variables: KAFKA_BOOTSTRAP_SERVERS,
 * QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC, QA_DEAD_LETTERS_TOPIC.
 */
public final class Ask {
    private static final String SERVERS = setting("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
    private static final String QUESTIONS = setting("QA_QUESTIONS_TOPIC", "qa.questions");
    private static final String ANSWERS = setting("QA_ANSWERS_TOPIC", "qa.answers");
    private static final String DEAD_LETTERS = setting("QA_DEAD_LETTERS_TOPIC", "qa.questions.dead");
    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    public static void main(String[] arguments) throws Exception {
        // With utf16, the answer is context.substring(start, end).
        String value = "{\"question\": " + json(arguments[0]) + ", \"context\": " + json(arguments[1])
                + ", \"options\": {\"offsets\": \"utf16\"}}";
        String correlationId = UUID.randomUUID().toString();
        try (var consumer = consumer(); var producer = producer()) {
            seekToEnd(consumer);
            // Answers have the key of their question; questions with the same key keep their order.
            var question = new ProducerRecord<>(QUESTIONS, "example", value);
            // The worker copies this header to the answer.
            question.headers().add("correlation-id", correlationId.getBytes(StandardCharsets.UTF_8));
            producer.send(question).get();
            var outcome = await(consumer, correlationId);
            if (outcome.topic().equals(DEAD_LETTERS)) {
                throw new IllegalArgumentException("rejected: " + header(outcome, "qa.reason") + ": "
                        + header(outcome, "__connect.errors.exception.message"));
            }
            new PrintStream(System.out, true, StandardCharsets.UTF_8).println(outcome.value());
        }
    }

    private static KafkaConsumer<String, String> consumer() {
        // The worker writes answers in transactions; without read_committed, a consumer may see answers of an
        // aborted one.
        Map<String, Object> settings = Map.of("bootstrap.servers", SERVERS, "isolation.level", "read_committed");
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private static KafkaProducer<String, String> producer() {
        Map<String, Object> settings = Map.of("bootstrap.servers", SERVERS);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    /** Moves the consumer to the current end of both output topics, before the question is sent. */
    private static void seekToEnd(KafkaConsumer<String, String> consumer) {
        List<TopicPartition> partitions = Stream.of(ANSWERS, DEAD_LETTERS)
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(found -> new TopicPartition(found.topic(), found.partition()))
                .toList();
        consumer.assign(partitions);
        consumer.seekToEnd(partitions);
        partitions.forEach(consumer::position);
    }

    private static ConsumerRecord<String, String> await(KafkaConsumer<String, String> consumer, String correlationId) {
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

    /** The text as a JSON string. */
    private static String json(String text) {
        var quoted = new StringBuilder("\"");
        for (char each : text.toCharArray()) {
            if (each == '"' || each == '\\' || each < ' ') {
                quoted.append(String.format("\\u%04x", (int) each));
            } else {
                quoted.append(each);
            }
        }
        return quoted.append('"').toString();
    }
}
