package peers;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** Avro behind the ten bytes of the single-object header, which are skipped when reading and left zero when writing. */
final class Wire {
    private static final byte[] HEADER = new byte[10];
    private static final ThreadLocal<Wire> OWN = ThreadLocal.withInitial(Wire::new);

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private BinaryDecoder decoder;
    private BinaryEncoder encoder;

    /** Reads the fields of a record, one after the other. */
    interface Reader<T> extends Serializable {
        T read(BinaryDecoder in) throws IOException;
    }

    /** A record that writes its fields, one after the other. */
    interface Writable {
        void write(BinaryEncoder out) throws IOException;
    }

    static <T> T read(byte[] record, Reader<T> reader) {
        Wire own = OWN.get();
        own.decoder = DecoderFactory.get()
                .binaryDecoder(record, HEADER.length, record.length - HEADER.length, own.decoder);
        try {
            return reader.read(own.decoder);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    static byte[] write(Writable record) {
        Wire own = OWN.get();
        own.bytes.reset();
        own.bytes.writeBytes(HEADER);
        own.encoder = EncoderFactory.get().directBinaryEncoder(own.bytes, own.encoder);
        try {
            record.write(own.encoder);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return own.bytes.toByteArray();
    }
}
