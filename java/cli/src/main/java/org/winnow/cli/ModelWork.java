package org.winnow.cli;

import org.winnow.DType;
import org.winnow.models.ModelConfig;
import org.winnow.models.ModelReport;
import org.winnow.models.ModelReport.Layer;
import org.winnow.workload.Work;

/**
 * What a model's tests have to do at least: the weights that are read, and the products with them.
 * Attention over the cache is left out; it is measured apart.
 *
 * @param type of the weights, by which the limit of arithmetic is chosen
 * @param bytesPerStep weights of a step that are no experts', and one row of the embedding table
 * @param expertBytes of one expert, on average
 * @param operationsPerToken products with all weights of a token, those of the output layer not
 * @param outputOperations products with the weights of the output layer, for one token
 */
record ModelWork(
    DType type,
    double bytesPerStep,
    double expertBytes,
    double operationsPerToken,
    double outputOperations) {

  /** The work of a checkpoint; not known if its headers do not tell. */
  static ModelWork of(ModelReport report, ModelConfig config) {
    double chosenBytes = 0;
    double allBytes = 0;
    double numExperts = 0;
    for (Layer layer : report.layers()) {
      chosenBytes += (double) layer.topK() * layer.expertBytes();
      allBytes += (double) layer.numExperts() * layer.expertBytes();
      numExperts += layer.numExperts();
    }
    double table = (double) config.vocabularySize() * config.hiddenSize();
    boolean known = report.bytesPerToken().isPresent() && report.activeParameters().isPresent();
    double active = known ? report.activeParameters().getAsLong() : Double.NaN;
    double perToken = known ? report.bytesPerToken().getAsLong() : Double.NaN;
    return new ModelWork(
        "bfloat16".equals(config.storedType()) ? DType.BF16 : DType.F32,
        perToken - chosenBytes,
        numExperts == 0 ? 0 : allBytes / numExperts,
        2 * (active - (config.tiedEmbeddings() ? table : 2 * table)),
        2 * table);
  }

  /**
   * Of one run of a test.
   *
   * @param expertsUsed experts that its steps have used, each counted once per step
   */
  Work of(SpeedTest test, double expertsUsed) {
    int tokens = test.numTokens();
    boolean prefill = test.kind() == SpeedTest.Kind.PREFILL;
    int steps = prefill ? 1 : tokens;
    return new Work(
        steps * bytesPerStep + expertsUsed * expertBytes,
        tokens * operationsPerToken + steps * outputOperations);
  }
}
