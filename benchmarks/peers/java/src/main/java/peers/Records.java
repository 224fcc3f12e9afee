package peers;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;

/**
 * The records of both jobs, with the fields that these need. They read and write themselves field by field, which costs less than
 * Avro's GenericRecord. To Flink they are POJOs.
 */
public final class Records {
    private static final long MINUTE_MS = 60_000;

    private Records() {}

    /** A prediction that is asked for. */
    public static class Request {
        static final List<String> FIELDS = List.of("request_id", "model", "user_id", "event_time", "features", "categories");

        public String requestId;
        public String userId;
        public long eventTime;
        public Map<String, Double> features = new HashMap<>();

        static Request read(BinaryDecoder in) throws IOException {
            Request read = new Request();
            read.requestId = in.readString();
            in.skipString(); // model
            read.userId = in.readString();
            read.eventTime = in.readLong();
            for (long block = in.readMapStart(); block > 0; block = in.mapNext()) {
                for (long i = 0; i < block; i++) {
                    read.features.put(in.readString(), in.readDouble());
                }
            }
            return read;
        }
    }

    /** The score of a request; features are not read again. */
    public static class Prediction implements Wire.Writable {
        static final List<String> FIELDS = List.of(
                "request_id", "model", "model_version", "role", "user_id", "event_time", "scored_at", "score",
                "predicted_label", "features", "signature", "segments", "feature_age_ms",
                "categories");

        public String requestId;
        public String version;
        public String userId;
        public long eventTime;
        public double score;
        public long label;
        public double[] features = {};

        static Prediction read(BinaryDecoder in) throws IOException {
            Prediction read = new Prediction();
            read.requestId = in.readString();
            in.skipString(); // model
            read.version = in.readString();
            in.skipString(); // role
            read.userId = in.readString();
            read.eventTime = in.readLong();
            in.readLong(); // scored_at
            read.score = in.readDouble();
            read.label = in.readIndex() == 1 ? in.readLong() : -1; // a regression has none, which is never right
            return read;
        }

        @Override
        public void write(BinaryEncoder out) throws IOException {
            out.writeString(requestId);
            out.writeString("bench");
            out.writeString(version);
            out.writeString("champion");
            out.writeString(userId);
            out.writeLong(eventTime);
            out.writeLong(eventTime); // scored_at
            out.writeDouble(score);
            out.writeIndex(1);
            out.writeLong(label);
            out.writeArrayStart();
            out.setItemCount(features.length);
            for (double feature : features) {
                out.writeDouble(feature);
            }
            out.writeArrayEnd();
            out.writeString(""); // signature
            out.writeArrayStart(); // segments: none
            out.writeArrayEnd();
            out.writeIndex(0); // feature_age_ms: null
            out.writeArrayStart(); // categories: none
            out.writeArrayEnd();
        }
    }

    /** What came of a request; NaN where an earlier outcome is taken back. */
    public static class Outcome {
        static final List<String> FIELDS = List.of("request_id", "outcome", "outcome_time", "class_name");

        public String requestId;
        public double outcome;

        static Outcome read(BinaryDecoder in) throws IOException {
            Outcome read = new Outcome();
            read.requestId = in.readString();
            read.outcome = in.readIndex() == 1 ? in.readDouble() : Double.NaN;
            return read;
        }
    }

    /** What the join knows of a request: a prediction, an outcome, or a match when it has both. The first of each counts. */
    public static class Pair implements Wire.Writable {
        public boolean predicted;
        public boolean known;
        public String version = "";
        public long eventTime;
        public long label;
        public double outcome;

        static Pair read(BinaryDecoder in) throws IOException {
            Pair read = new Pair();
            read.predicted = in.readBoolean();
            read.known = in.readBoolean();
            read.version = in.readString();
            read.eventTime = in.readLong();
            read.label = in.readLong();
            read.outcome = in.readDouble();
            return read;
        }

        @Override
        public void write(BinaryEncoder out) throws IOException {
            out.writeBoolean(predicted);
            out.writeBoolean(known);
            out.writeString(version);
            out.writeLong(eventTime);
            out.writeLong(label);
            out.writeDouble(outcome);
        }

        /** Whether this is news. */
        boolean add(Prediction made) {
            if (predicted) {
                return false;
            }
            predicted = true;
            version = made.version;
            eventTime = made.eventTime;
            label = made.label;
            return true;
        }

        /** Whether this is news. */
        boolean add(Outcome given) {
            if (known || Double.isNaN(given.outcome)) {
                return false;
            }
            known = true;
            outcome = given.outcome;
            return true;
        }

        boolean matched() {
            return predicted && known;
        }

        String window() {
            return version + "|" + eventTime / MINUTE_MS * MINUTE_MS;
        }
    }

    /** How many predictions of a window have an outcome, and how many of these are right. */
    public static class Count implements Wire.Writable {
        public long total;
        public long right;

        static Count read(BinaryDecoder in) throws IOException {
            Count read = new Count();
            read.total = in.readLong();
            read.right = in.readLong();
            return read;
        }

        @Override
        public void write(BinaryEncoder out) throws IOException {
            out.writeLong(total);
            out.writeLong(right);
        }

        void add(Pair match) {
            total++;
            right += match.label == match.outcome ? 1 : 0;
        }

        String toJson(String window) {
            return "[\"" + window + "\", " + total + ", " + right + "]";
        }
    }
}
