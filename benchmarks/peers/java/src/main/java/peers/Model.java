package peers;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Path;

/** A standard scaler and a logistic regression of the features f0, f1, ... */
record Model(double[] mean, double[] scale, double[] coefficients, double intercept) implements Serializable {
    static Model read(Path file) throws IOException {
        return new ObjectMapper().readValue(file.toFile(), Model.class);
    }

    Records.Prediction predict(Records.Request request) {
        double[] features = new double[mean.length];
        double sum = intercept;
        for (int i = 0; i < features.length; i++) {
            features[i] = request.features.get("f" + i);
            sum += coefficients[i] * (features[i] - mean[i]) / scale[i];
        }
        Records.Prediction made = new Records.Prediction();
        made.requestId = request.requestId;
        made.userId = request.userId;
        made.version = "v1";
        made.eventTime = request.eventTime;
        made.score = 1 / (1 + Math.exp(-sum));
        made.label = made.score >= 0.5 ? 1 : 0;
        made.features = features;
        return made;
    }
}
