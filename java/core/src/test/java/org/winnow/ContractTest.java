package org.winnow;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.ClassTemplate;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test of the contract that every backend must keep. It names no backend: it uses {@link
 * BackendsUnderTest} and allocates in their memory. A backend's module runs all classes with this
 * tag, once for each of {@link BackendsUnderTest#runs}.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("contract")
@ClassTemplate
@ExtendWith(ContractRuns.class)
public @interface ContractTest {}
