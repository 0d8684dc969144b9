package org.winnow.op;

import static org.winnow.DType.U64;
import static org.winnow.internal.Internals.address;
import static org.winnow.op.KvCache.PAGE_TOKENS;
import static org.winnow.op.KvPlane.requirePositive;

import java.util.List;
import org.winnow.BudgetException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.AttentionArguments;
import org.winnow.internal.KvAppendArguments;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.Resources;

/**
 * The pages of a {@link KvCache}, and the tables through which operations find them. A page holds
 * {@link KvCache#PAGE_TOKENS} positions of every plane of one layer. Pages that are made together
 * lie side by side in their layer, so that attention reads one long run of memory. All planes have
 * the same element.
 *
 * <p>In host memory, keys and values lie in the tiles that the CPU's attention reads. Devices have
 * rows. Latents are keys and values at once, so they lie in rows everywhere.
 */
final class KvPages implements AutoCloseable {
  final int numLayers;
  final List<KvPlane> planes;
  private final KvPlane[] planeOf; // the same: a call that reads a list takes longer
  private final KvLayout[] layouts;
  private final DType element;
  private final TensorMemory memory;
  private final Resources open = new Resources();
  private final Tensor[][] pages; // [maximum number of pages][numLayers], each of all planes
  private final MirroredTensor[] tables; // of planes
  private int numPages;
  private int numPagesHandedOver; // pages whose addresses operations can read

  /**
   * @param planes latents alone, or keys and values, of one element
   */
  KvPages(TensorMemory memory, int numLayers, List<KvPlane> planes, int contextLimit) {
    requirePositive("numLayers", numLayers);
    requirePositive("contextLimit", contextLimit);
    this.memory = memory;
    this.numLayers = numLayers;
    this.planes = List.copyOf(planes);
    planeOf = planes.toArray(KvPlane[]::new);
    layouts = new KvLayout[planeOf.length];
    tables = new MirroredTensor[planeOf.length];
    element = planes.get(0).element();
    boolean tiled = memory.isHost() && planes.size() > 1;
    int maxPages = (int) ((contextLimit + (long) PAGE_TOKENS - 1) / PAGE_TOKENS);
    pages = new Tensor[maxPages][];
    try {
      for (int plane = 0; plane < planes.size(); plane++) {
        layouts[plane] =
            !tiled ? KvLayout.ROWS : plane == 0 ? KvLayout.KEY_TILES : KvLayout.VALUE_TILES;
        tables[plane] = open.keep(new MirroredTensor(memory, U64, numLayers, maxPages));
      }
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  TensorMemory memory() {
    return memory;
  }

  void requireIn(TensorMemory expected) {
    if (memory != expected)
      throw new IllegalArgumentException("cache must lie in " + expected + ", found " + memory);
  }

  /**
   * Index of a plane.
   *
   * @throws IllegalArgumentException if the cache has no such plane
   */
  int indexOf(KvPlane plane) {
    int index = planes.indexOf(plane);
    if (index < 0)
      throw new IllegalArgumentException("plane must be one of " + planes + ", found " + plane);
    return index;
  }

  KvPlane plane(int index) {
    return planeOf[index];
  }

  long sizeBytes() {
    return (long) numPages * numLayers * layerElements() * element.sizeBytes();
  }

  /** Number of elements of a page. */
  private long layerElements() {
    return elementsBefore(planes.size());
  }

  /** Elements of the planes that lie before a plane. */
  private long elementsBefore(int plane) {
    long elements = 0;
    for (int i = 0; i < plane; i++) elements += layouts[i].pageElements(planeOf[i]);
    return elements;
  }

  /** Number of tokens whose pages operations can read. */
  long roomTokens() {
    return numPagesHandedOver * (long) PAGE_TOKENS;
  }

  /** Checks for {@link KvAppend} that room is reserved for the tokens from a position on. */
  void requireRoom(int firstPosition, int numTokens) {
    int room = numPagesHandedOver * PAGE_TOKENS - firstPosition;
    if (numTokens < 0 || numTokens > room)
      throw new IllegalArgumentException(
          "numTokens must lie in [0, " + room + "], the room reserved, found " + numTokens);
  }

  /** Adds pages until there is room for so many tokens. */
  void grow(long numTokens) {
    if (numTokens <= roomTokens()) return;
    int needed = (int) ((numTokens + PAGE_TOKENS - 1) / PAGE_TOKENS);
    int atOnce = needed - numPages;
    while (numPages < needed) {
      try {
        addPages(Math.min(atOnce, needed - numPages));
      } catch (BudgetException e) {
        if (atOnce == 1) throw e;
        atOnce /= 2;
      }
    }
    if (numPagesHandedOver == numPages) return;
    for (MirroredTensor table : tables) table.fromHost();
    numPagesHandedOver = numPages;
  }

  /** In one piece of memory: a large one lies on huge pages of the system. */
  private void addPages(int count) {
    Tensor piece =
        open.keep(Tensor.allocate(memory, element, (long) numLayers * count, layerElements()));
    for (int i = 0; i < count; i++) {
      Tensor[] layers = new Tensor[numLayers];
      for (int layer = 0; layer < numLayers; layer++) {
        long row = (long) layer * count + i;
        layers[layer] = piece.slice(row, row + 1);
      }
      addPage(layers);
    }
  }

  private void addPage(Tensor[] layers) {
    pages[numPages] = layers;
    for (int plane = 0; plane < planes.size(); plane++) {
      long at = elementsBefore(plane) * element.sizeBytes();
      for (int layer = 0; layer < numLayers; layer++) {
        long entry = layer * (long) pages.length + numPages;
        tables[plane].longs().put((int) entry, address(layers[layer]) + at);
      }
    }
    numPages++;
  }

  /** A layer's page that holds a position, [1, elements of a layer] of the planes' element. */
  Tensor page(int layer, int index) {
    return pages[index][layer];
  }

  /** Index in {@link #page} of an element of a row. */
  long index(int plane, int head, int slot, int column) {
    return elementsBefore(plane) + layouts[plane].index(planeOf[plane], head, slot, column);
  }

  /** Addresses of the layers' pages of a plane, [numLayers, maximum number of pages] u64. */
  Tensor table(int plane) {
    return tables[plane].tensor();
  }

  /** Fills the part of attention's arguments that describes a layer's pages. */
  void describe(int layer, int valueWidth, AttentionArguments arguments) {
    int values = planeOf.length - 1;
    long keyPages = row(0, layer);
    long valuePages = row(values, layer);
    arguments
        .keyPages(keyPages)
        .valuePages(valuePages)
        .numKvHeads(planeOf[0].numHeads())
        .keyWidth(planeOf[0].width())
        .valueWidth(valueWidth)
        .valueRowStride(planeOf[values].width())
        .pageSize(PAGE_TOKENS)
        .element(element.code())
        .tiled(layouts[0] == KvLayout.ROWS ? 0 : 1);
  }

  /** Fills the part of an append's arguments that describes a layer's pages of a plane. */
  void describe(int layer, int plane, KvAppendArguments arguments) {
    long rows = row(plane, layer);
    arguments
        .pages(rows)
        .numHeads(planeOf[plane].numHeads())
        .width(planeOf[plane].width())
        .pageSize(PAGE_TOKENS)
        .element(element.code())
        .layout(layouts[plane].code());
  }

  /** Address of the layer's row of a plane's table. */
  private long row(int plane, int layer) {
    return address(table(plane)) + (long) layer * pages.length * Long.BYTES;
  }

  /** Waits for running operations, then frees all pages. */
  @Override
  public void close() {
    open.close();
  }
}
