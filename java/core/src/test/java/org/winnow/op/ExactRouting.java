package org.winnow.op;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The choices that a router must make for one token, in double precision: sorts all experts and
 * finds sparsemax by bisection.
 */
record ExactRouting(List<Integer> experts, List<Double> weights) {
  private static final double SIGMOID_EPSILON = 1e-20;

  static ExactRouting of(TopKRouter rule, float[] z) {
    return switch (rule.score()) {
      case SOFTMAX, SIGMOID -> ofScores(rule, z);
      case SPARSEMAX -> ofSparsemax(rule, z);
      case HARD_THRESHOLD, SHIFTED_THRESHOLD -> ofThreshold(rule, z);
    };
  }

  private static ExactRouting ofScores(TopKRouter rule, float[] z) {
    double[] score = rule.score() == TopKRouter.Score.SOFTMAX ? softmax(z) : sigmoid(z);
    double[] selection = score.clone();
    for (int e = 0; e < z.length && rule.correctionBias() != null; e++)
      selection[e] += rule.correctionBias().getFloat(e);
    double[] weights = score;
    List<Integer> eligible = eligible(rule, selection);
    // equal logits have equal scores; where the scores saturate, logits that differ do not tie for
    // softmax
    boolean byLogit = rule.score() == TopKRouter.Score.SOFTMAX && rule.correctionBias() == null;
    eligible.sort(
        Comparator.comparingDouble((Integer e) -> -(byLogit ? z[e] + 0.0 : selection[e]))
            .thenComparing(e -> e));
    List<Integer> kept = new ArrayList<>(eligible.subList(0, rule.topK(z.length)));
    if (rule.topP() > 0) {
      int count = 1;
      while (count < kept.size()
          && kept.subList(0, count).stream().mapToDouble(e -> weights[e]).sum() < rule.topP())
        count++;
      kept =
          new ArrayList<>(
              kept.subList(0, Math.min(kept.size(), Math.max(count, rule.minExperts()))));
    }
    return finish(rule, kept, weights);
  }

  private static List<Integer> eligible(TopKRouter rule, double[] selection) {
    int size = selection.length / rule.numExpertGroups();
    double[] groups = new double[rule.numExpertGroups()];
    for (int g = 0; g < groups.length; g++) {
      double[] sorted =
          IntStream.range(g * size, (g + 1) * size)
              .mapToDouble(e -> -selection[e])
              .sorted()
              .map(v -> -v)
              .toArray();
      boolean two = rule.groupScore() == TopKRouter.GroupScore.SUM_OF_TOP_TWO && size > 1;
      groups[g] = sorted[0] + (two ? sorted[1] : 0);
    }
    List<Integer> best = new ArrayList<>(IntStream.range(0, groups.length).boxed().toList());
    best.sort(Comparator.comparingDouble((Integer g) -> -groups[g]).thenComparing(g -> g));
    List<Integer> kept = best.subList(0, rule.topKGroups());
    return new ArrayList<>(
        IntStream.range(0, selection.length).filter(e -> kept.contains(e / size)).boxed().toList());
  }

  private static ExactRouting ofSparsemax(TopKRouter rule, float[] z) {
    List<Integer> candidates = sorted(z).subList(0, rule.topK(z.length));
    double largest = z[candidates.get(0)];
    double low = -1; // tau, less the largest logit
    double high = 0;
    for (int step = 0; step < 200; step++) {
      double tau = (low + high) / 2;
      if (candidates.stream().mapToDouble(e -> Math.max(z[e] - largest - tau, 0)).sum() > 1)
        low = tau;
      else high = tau;
    }
    double tau = high;
    double[] weights = new double[z.length];
    for (int e : candidates) weights[e] = Math.max(z[e] - largest - tau, 0);
    return finish(
        rule, new ArrayList<>(candidates.stream().filter(e -> weights[e] > 0).toList()), weights);
  }

  private static ExactRouting ofThreshold(TopKRouter rule, float[] z) {
    double[] weights = new double[z.length];
    for (int e = 0; e < z.length; e++)
      weights[e] =
          rule.score() == TopKRouter.Score.HARD_THRESHOLD ? z[e] : (double) z[e] - rule.threshold();
    List<Integer> above = sorted(z).stream().filter(e -> z[e] > rule.threshold()).toList();
    if (above.isEmpty()) {
      boolean fallback = rule.emptyPolicy() == TopKRouter.EmptyPolicy.FALLBACK_TOP1;
      return fallback
          ? new ExactRouting(sorted(z).subList(0, 1), List.of((double) rule.scalingFactor()))
          : new ExactRouting(List.of(), List.of());
    }
    return finish(
        rule,
        new ArrayList<>(above.subList(0, Math.min(above.size(), rule.topK(z.length)))),
        weights);
  }

  private static ExactRouting finish(TopKRouter rule, List<Integer> kept, double[] weights) {
    double first = weights[kept.get(0)];
    List<Integer> experts = new ArrayList<>();
    for (int e : kept) {
      boolean dropped = weights[e] < rule.minP() * first || weights[e] < rule.skipBelow() * first;
      if (kept.indexOf(e) < rule.minExperts() || !dropped) experts.add(e);
    }
    double sum = 1;
    if (rule.renormalises()) {
      sum =
          experts.stream().mapToDouble(e -> weights[e]).sum()
              + (rule.score() == TopKRouter.Score.SIGMOID ? SIGMOID_EPSILON : 0);
    }
    double divisor = sum;
    return new ExactRouting(
        experts, experts.stream().map(e -> rule.scalingFactor() * weights[e] / divisor).toList());
  }

  private static List<Integer> sorted(float[] z) {
    List<Integer> ids = new ArrayList<>(IntStream.range(0, z.length).boxed().toList());
    ids.sort(
        Comparator.comparingDouble((Integer e) -> -(z[e] + 0.0))
            .thenComparing(e -> e)); // + 0.0: -0 becomes +0
    return ids;
  }

  private static double[] softmax(float[] z) {
    double largest = Double.NEGATIVE_INFINITY;
    for (float value : z) largest = Math.max(largest, value);
    double sum = 0;
    for (float value : z) sum += Math.exp(value - largest);
    double[] p = new double[z.length];
    for (int e = 0; e < z.length; e++) p[e] = Math.exp(z[e] - largest) / sum;
    return p;
  }

  private static double[] sigmoid(float[] z) {
    double[] s = new double[z.length];
    for (int e = 0; e < z.length; e++) s[e] = 1 / (1 + Math.exp(-z[e]));
    return s;
  }
}
