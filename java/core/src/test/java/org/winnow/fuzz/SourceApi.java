package org.winnow.fuzz;

import com.sun.source.doctree.DocCommentTree;
import com.sun.source.doctree.DocTree;
import com.sun.source.doctree.ThrowsTree;
import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.VariableTree;
import com.sun.source.util.DocTrees;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreePath;
import com.sun.source.util.TreePathScanner;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * What source files say of their methods: parameter names and Javadoc, by {@link ExportedApi#key}.
 */
final class SourceApi {
  /**
   * @param parameters their names, in order
   * @param javadoc the text, empty if there is none
   * @param thrown simple names of the exceptions that the Javadoc or the {@code throws} clause has
   */
  record Said(List<String> parameters, String javadoc, Set<String> thrown) {}

  private final TreeMap<String, Said> methods = new TreeMap<>();

  SourceApi(Path sourceRoot) {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    try (Stream<Path> walk = Files.walk(sourceRoot);
        StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      List<Path> sources =
          walk.filter(path -> path.toString().endsWith(".java"))
              .filter(path -> !path.endsWith("module-info.java"))
              .sorted()
              .collect(Collectors.toList());
      JavacTask task =
          (JavacTask)
              compiler.getTask(
                  null, files, null, List.of(), null, files.getJavaFileObjectsFromPaths(sources));
      DocTrees docs = DocTrees.instance(task);
      for (CompilationUnitTree unit : task.parse()) new Reader(docs).scan(new TreePath(unit), null);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Null where the sources have no such method: one that the compiler made. */
  Said find(String key) {
    return methods.get(key);
  }

  private final class Reader extends TreePathScanner<Void, Void> {
    private final DocTrees docs;
    private final List<ClassTree> outer = new ArrayList<>();

    Reader(DocTrees docs) {
      this.docs = docs;
    }

    @Override
    public Void visitClass(ClassTree type, Void unused) {
      outer.add(type);
      if (type.getKind() == Tree.Kind.RECORD) record(type);
      super.visitClass(type, unused);
      outer.remove(outer.size() - 1);
      return null;
    }

    /**
     * The accessors and the constructor that the compiler makes; what is written out replaces them.
     */
    private void record(ClassTree type) {
      List<String> names = new ArrayList<>();
      List<String> types = new ArrayList<>();
      for (Tree member : type.getMembers()) {
        if (!(member instanceof VariableTree field) || isStatic(field)) continue;
        names.add(field.getName().toString());
        types.add(simple(field.getType().toString()));
        methods.put(
            path() + "." + field.getName() + "()", new Said(List.of(), javadoc(), Set.of()));
      }
      methods.put(
          path() + ".new(" + String.join(",", types) + ")",
          new Said(List.copyOf(names), javadoc(), Set.of()));
    }

    private static boolean isStatic(VariableTree field) {
      return field.getModifiers().getFlags().contains(javax.lang.model.element.Modifier.STATIC);
    }

    @Override
    public Void visitMethod(MethodTree method, Void unused) {
      String name = method.getName().toString();
      List<String> names = new ArrayList<>();
      List<String> types = new ArrayList<>();
      for (VariableTree parameter : method.getParameters()) {
        names.add(parameter.getName().toString());
        types.add(simple(parameter.getType().toString()));
      }
      Set<String> thrown = new TreeSet<>();
      method.getThrows().forEach(type -> thrown.add(simple(type.toString())));
      DocCommentTree doc = docs.getDocCommentTree(getCurrentPath());
      if (doc != null) {
        for (DocTree tag : doc.getBlockTags()) {
          if (tag instanceof ThrowsTree found)
            thrown.add(simple(found.getExceptionName().getSignature()));
        }
      }
      methods.put(
          path()
              + "."
              + (name.equals("<init>") ? "new" : name)
              + "("
              + String.join(",", types)
              + ")",
          new Said(List.copyOf(names), javadoc(), thrown));
      return null; // nothing inside a method is part of the API
    }

    private String javadoc() {
      String text = docs.getDocComment(getCurrentPath());
      return text == null ? "" : text;
    }

    private String path() {
      return outer.stream().map(c -> c.getSimpleName().toString()).collect(Collectors.joining("."));
    }

    /** Without package, outer class and type arguments, as {@link Class#getSimpleName} has it. */
    private static String simple(String type) {
      String erased = type.replaceAll("<.*>", "").replace("...", "[]").replaceAll("@\\S+ ", "");
      return erased.substring(erased.lastIndexOf('.') + 1);
    }
  }
}
