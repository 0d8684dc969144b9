module org.example.consumer {
  requires org.winnow.core;
}
