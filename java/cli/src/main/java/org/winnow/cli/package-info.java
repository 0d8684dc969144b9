/** The winnow command. */
package org.winnow.cli;
