/**
 * Work to be measured and tested, not needed to run a model: shapes of named models, random weights
 * over more memory than caches hold, and workloads, which are one operation or block each with its
 * inputs, a reference check in double precision, the bytes and operations that it takes at least,
 * and those of its dense baseline. Benchmarks, {@code winnow bench} and tests use it.
 *
 * <pre>{@code
 * try (WeightPool pool = new WeightPool(backend, DType.BF16, WeightPool.BEYOND_CACHES);
 *     Workload block = new MoeBlockWorkload(backend, MoeShape.OLMOE, pool, 1)) {
 *   block.run();
 *   block.check();
 *   Work least = block.work();
 * }
 * }</pre>
 */
package org.winnow.workload;
