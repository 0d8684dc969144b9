package org.winnow.memory;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.winnow.WeightFormat;
import org.winnow.memory.ExpertLayout.Arranged;
import org.winnow.memory.ExpertLayout.Copy;
import org.winnow.memory.ExpertLayout.InPanels;
import org.winnow.memory.ExpertLayout.Piece;
import org.winnow.memory.ExpertLayout.Plane;
import org.winnow.memory.ExpertLayout.Range;
import org.winnow.memory.ExpertLayout.Span;
import org.winnow.memory.ExpertLayout.Staged;
import org.winnow.memory.ExpertLayout.Stored;
import org.winnow.memory.ExpertLayout.Transform;

/** One expert's layout in the making: gives every plane its place in the slot, and joins reads. */
final class LayoutBuilder {
  private static final long LINE_BYTES = 64;

  private final Checkpoint checkpoint;
  private final WeightFormat[] formats;
  private final List<Target> targets = new ArrayList<>();
  private final List<Target> straight = new ArrayList<>(); // those that are read to their places
  private final List<Target> arranged = new ArrayList<>(); // the same, but through a buffer
  private final List<StagedRows> staged = new ArrayList<>();
  private long slotBytes;
  private long storedBytes;

  /**
   * Elements of a tensor: some rows and columns of the matrix that begins at {@code firstElement}.
   */
  record Elements(TensorInfo tensor, long firstElement, Stored stored, Span rows, Span columns) {
    long matrixOffset() {
      return tensor.offset() + firstElement * stored.elementBytes();
    }

    long beginBytes() {
      return matrixOffset() + rows.first() * stored.rowBytes();
    }

    long number() {
      return rows.count() * columns.count();
    }

    long sizeBytes() {
      return number() * stored.elementBytes();
    }

    boolean isContiguous() {
      return rows.step() == 1 && columns.count() == stored.numColumns();
    }
  }

  /** A plane and where it comes from. */
  private static final class Target {
    final ExpertRole role;
    final int plane;
    final Elements elements;
    final long sizeBytes;
    final int panelElements; // 0: in rows
    long place;

    Target(ExpertRole role, int plane, Elements elements, long sizeBytes, int panelElements) {
      this.panelElements = panelElements;
      this.role = role;
      this.plane = plane;
      this.elements = elements;
      this.sizeBytes = sizeBytes;
    }
  }

  /** Rows that are read once for all copies from them. */
  private static final class StagedRows {
    final TensorInfo tensor;
    final long matrixOffset;
    final Stored stored;
    long firstRow;
    long endRow;
    final List<Copy> copies = new ArrayList<>();

    StagedRows(Elements elements) {
      tensor = elements.tensor;
      matrixOffset = elements.matrixOffset();
      stored = elements.stored;
      firstRow = elements.rows.first();
      endRow = elements.rows.end();
    }

    boolean overlaps(Elements elements) {
      return tensor == elements.tensor
          && matrixOffset == elements.matrixOffset()
          && stored.equals(elements.stored)
          && elements.rows.first() < endRow
          && firstRow < elements.rows.end();
    }

    void extendTo(Elements elements) {
      firstRow = Math.min(firstRow, elements.rows.first());
      endRow = Math.max(endRow, elements.rows.end());
    }
  }

  /**
   * @param formats by role, complete when {@link #finish} is called
   */
  LayoutBuilder(Checkpoint checkpoint, WeightFormat[] formats) {
    this.checkpoint = checkpoint;
    this.formats = formats;
  }

  /** Whether a plane has been added. */
  boolean has(ExpertRole role, int plane) {
    for (Target target : targets) if (target.role == role && target.plane == plane) return true;
    return false;
  }

  /**
   * Adds a plane.
   *
   * @param alignmentBytes what the plane's address must be a multiple of
   * @param panelElements of the format, if the plane is to lie in panels; otherwise 0
   */
  void add(
      ExpertRole role,
      int plane,
      Elements elements,
      Transform transform,
      long alignmentBytes,
      int panelElements) {
    long sizeBytes =
        transform == Transform.TO_F32 ? elements.number() * Float.BYTES : elements.sizeBytes();
    Target target = new Target(role, plane, elements, sizeBytes, panelElements);
    targets.add(target);
    storedBytes += elements.sizeBytes();
    boolean asWanted = transform == Transform.COPY && elements.isContiguous();
    // a plane that is read to its place is as aligned in memory as in the file
    if (asWanted && panelElements == 0 && elements.beginBytes() % alignmentBytes == 0) {
      straight.add(target);
      return;
    }
    target.place = reserve(LINE_BYTES, sizeBytes);
    if (asWanted && panelElements > 0) {
      arranged.add(target);
      return;
    }
    stage(elements)
        .copies
        .add(new Copy(elements.rows, elements.columns, transform, target.place, panelElements));
  }

  private StagedRows stage(Elements elements) {
    for (StagedRows rows : staged) {
      if (!rows.overlaps(elements)) continue;
      rows.extendTo(elements);
      return rows;
    }
    StagedRows rows = new StagedRows(elements);
    staged.add(rows);
    return rows;
  }

  private long reserve(long alignment, long sizeBytes) {
    long place = Checkpoint.roundUp(slotBytes, alignment);
    slotBytes = place + sizeBytes;
    return place;
  }

  ExpertLayout finish() {
    long readBytes = 0;
    List<Staged> reads = new ArrayList<>();
    for (StagedRows rows : staged) {
      Staged read =
          new Staged(
              checkpoint.reader(rows.tensor.file()),
              rows.tensor,
              rows.matrixOffset,
              rows.stored,
              rows.firstRow,
              rows.endRow,
              List.copyOf(rows.copies));
      reads.add(read);
      readBytes += ExpertLoader.readBytes(read, checkpoint.fileSizeBytes(rows.tensor.file()));
    }
    List<Range> ranges = new ArrayList<>();
    for (List<Target> joined : join(straight)) {
      Range range = range(joined);
      long place =
          reserve(Math.max(range.reader().alignmentBytes(), LINE_BYTES), range.sizeBytes());
      if (range.reader().alignmentBytes() == 1) {
        place += range.offsetBytes() % LINE_BYTES; // as aligned in memory as in the file
        slotBytes += LINE_BYTES;
      }
      for (Target target : joined)
        target.place = place + target.elements.beginBytes() - range.offsetBytes();
      ranges.add(range.at(place));
    }
    List<Arranged> buffered = new ArrayList<>();
    for (List<Target> joined : join(arranged)) {
      Range range = range(joined);
      buffered.add(new Arranged(range, joined.stream().map(t -> inPanels(t, range)).toList()));
    }
    for (Range range : ranges) readBytes += readBytes(range);
    for (Arranged range : buffered)
      readBytes += ExpertLoader.readBytes(range, checkpoint.fileSizeBytes(range.range().file()));
    List<Plane> planes =
        targets.stream()
            .map(target -> new Plane(target.role, target.plane, target.place, target.sizeBytes))
            .sorted(Comparator.comparing(Plane::role).thenComparing(Plane::plane))
            .toList();
    return new ExpertLayout(
        ranges,
        buffered,
        List.copyOf(reads),
        planes,
        formats,
        Checkpoint.roundUp(slotBytes, RangeReader.DIRECT_ALIGNMENT_BYTES),
        storedBytes,
        readBytes);
  }

  private long readBytes(Range range) {
    return Math.min(
        range.sizeBytes(), checkpoint.fileSizeBytes(range.file()) - range.offsetBytes());
  }

  private static InPanels inPanels(Target target, Range range) {
    Elements elements = target.elements;
    return new InPanels(
        elements.beginBytes() - range.offsetBytes(),
        target.place,
        elements.stored.elementBytes(),
        target.panelElements,
        elements.rows.count(),
        elements.columns.count());
  }

  /**
   * One read for planes that touch, or share a block of the disk: the planes of each, ascending.
   */
  private List<List<Target>> join(List<Target> separate) {
    separate.sort(
        Comparator.<Target, String>comparing(target -> target.elements.tensor.file().toString())
            .thenComparingLong(target -> target.elements.beginBytes()));
    List<List<Target>> reads = new ArrayList<>();
    for (int first = 0; first < separate.size(); ) {
      TensorInfo tensor = separate.get(first).elements.tensor;
      long alignment = checkpoint.reader(tensor.file()).alignmentBytes();
      long end = 0;
      int next = first;
      while (next < separate.size()
          && separate.get(next).elements.tensor.file().equals(tensor.file())
          && (next == first
              || separate.get(next).elements.beginBytes() / alignment * alignment
                  <= Checkpoint.roundUp(end, alignment))) {
        Elements elements = separate.get(next).elements;
        end = Math.max(end, elements.beginBytes() + elements.sizeBytes());
        next++;
      }
      reads.add(separate.subList(first, next));
      first = next;
    }
    return reads;
  }

  /** The range of a file that holds these planes, without a place in the slot. */
  private Range range(List<Target> planes) {
    TensorInfo tensor = planes.get(0).elements.tensor;
    RangeReader reader = checkpoint.reader(tensor.file());
    long alignment = reader.alignmentBytes();
    long begin = planes.get(0).elements.beginBytes() / alignment * alignment;
    long end = begin;
    List<Piece> pieces = new ArrayList<>();
    for (Target target : planes) {
      Elements elements = target.elements;
      end = Math.max(end, elements.beginBytes() + elements.sizeBytes());
      pieces.add(new Piece(elements.tensor.name(), elements.beginBytes(), elements.sizeBytes()));
    }
    long sizeBytes = Checkpoint.roundUp(end, alignment) - begin;
    return new Range(reader, tensor.file(), begin, sizeBytes, end - begin, 0, List.copyOf(pieces));
  }
}
