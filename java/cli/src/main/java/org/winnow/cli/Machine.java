package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import org.winnow.cpu.InstructionSet;

/**
 * What tells machines apart whose results are compared.
 *
 * @param processor its name, as the system gives it
 * @param processors that this process may use
 * @param memoryBytes of the machine or container
 * @param instructionSet the widest that Winnow uses here
 */
record Machine(String processor, int processors, long memoryBytes, String instructionSet) {
  static Machine ofThisProcess() {
    return new Machine(
        DoctorCommand.processor(),
        Runtime.getRuntime().availableProcessors(),
        ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize(),
        InstructionSet.best().toString());
  }

  /** Writes it as the field {@code machine}. */
  void write(JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("machine");
    json.writeStringField("processor", processor);
    json.writeNumberField("processors", processors);
    json.writeNumberField("memory_bytes", memoryBytes);
    json.writeStringField("instruction_set", instructionSet);
    json.writeEndObject();
  }
}
