/** JMH benchmarks, each operation beside its dense baseline. */
package org.winnow.bench;
