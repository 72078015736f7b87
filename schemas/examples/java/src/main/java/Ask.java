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
 * Prints the answer's JSON, or what was wrong with the question. From the environment: KAFKA_BOOTSTRAP_SERVERS,
 * QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC, QA_DEAD_LETTERS_TOPIC.
 */
public final class Ask {
    private static final String SERVERS = setting("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
    private static final String QUESTIONS = setting("QA_QUESTIONS_TOPIC", "qa.questions");
    private static final String ANSWERS = setting("QA_ANSWERS_TOPIC", "qa.answers");
    private static final String DEAD_LETTERS = setting("QA_DEAD_LETTERS_TOPIC", "qa.questions.dead");
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    public static void main(String[] arguments) throws Exception {
        String value = "{\"question\": " + json(arguments[0]) + ", \"context\": " + json(arguments[1]) + "}";
        String mark = UUID.randomUUID().toString();
        try (var consumer = consumer(); var producer = producer()) {
            atTheEnd(consumer);
            // Questions with one key are answered in their order, under that key.
            var question = new ProducerRecord<>(QUESTIONS, "example", value);
            // Comes back on the answer, as traceparent and some more headers do.
            question.headers().add("correlation-id", mark.getBytes(StandardCharsets.UTF_8));
            producer.send(question).get();
            var outcome = await(consumer, mark);
            if (outcome.topic().equals(DEAD_LETTERS)) {
                throw new IllegalArgumentException("rejected: " + header(outcome, "qa.reason") + ": "
                        + header(outcome, "__connect.errors.exception.message"));
            }
            new PrintStream(System.out, true, StandardCharsets.UTF_8).println(outcome.value());
        }
    }

    private static KafkaConsumer<String, String> consumer() {
        // Answers leave in transactions: whoever reads uncommitted may see one that is taken back.
        Map<String, Object> settings = Map.of("bootstrap.servers", SERVERS, "isolation.level", "read_committed");
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private static KafkaProducer<String, String> producer() {
        Map<String, Object> settings = Map.of("bootstrap.servers", SERVERS);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    /** Lets the consumer see what comes from now on, before anything is sent. */
    private static void atTheEnd(KafkaConsumer<String, String> consumer) {
        List<TopicPartition> partitions = Stream.of(ANSWERS, DEAD_LETTERS)
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(found -> new TopicPartition(found.topic(), found.partition()))
                .toList();
        consumer.assign(partitions);
        consumer.seekToEnd(partitions);
        partitions.forEach(consumer::position);
    }

    private static ConsumerRecord<String, String> await(KafkaConsumer<String, String> consumer, String mark) {
        Instant until = Instant.now().plus(PATIENCE);
        while (Instant.now().isBefore(until)) {
            for (var found : consumer.poll(Duration.ofMillis(500))) {
                if (mark.equals(header(found, "correlation-id"))) {
                    return found;
                }
            }
        }
        throw new IllegalStateException("no answer within " + PATIENCE.toSeconds() + " s: is a worker running?");
    }

    private static String header(ConsumerRecord<?, ?> from, String name) {
        Header header = from.headers().lastHeader(name);
        return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    private static String setting(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    /** As a JSON string. */
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
