import com.siemens.ct.exi.core.EXIFactory;
import com.siemens.ct.exi.core.helpers.DefaultEXIFactory;
import com.siemens.ct.exi.grammars.GrammarFactory;
import com.siemens.ct.exi.main.api.sax.EXIResult;
import com.siemens.ct.exi.main.api.sax.EXISource;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.util.Arrays;
import java.util.Base64;
import javax.xml.parsers.SAXParserFactory;
import org.apache.xerces.xni.XMLResourceIdentifier;
import org.apache.xerces.xni.parser.XMLEntityResolver;
import org.apache.xerces.xni.parser.XMLInputSource;
import org.xml.sax.InputSource;
import org.xml.sax.XMLReader;
import org.xml.sax.helpers.DefaultHandler;

/**
 * EXIficient in one warm virtual machine, XML text to EXI and EXI to SAX events, with the options of ISO 15118.
 * In: lines of XSD path, TAB, base64 of the XML. Out: EXI as base64, TAB, microseconds to encode, TAB, to decode.
 */
public class Exificient {
  /** Schemas name a DTD of the W3C: nothing is fetched. */
  static class Local implements XMLEntityResolver {
    public XMLInputSource resolveEntity(XMLResourceIdentifier id) throws IOException {
      String name = id.getLiteralSystemId();
      if (name != null && name.endsWith(".dtd")) {
        return new XMLInputSource(id.getPublicId(), name, id.getBaseSystemId(), new StringReader(""), "UTF-8");
      }
      String place = id.getExpandedSystemId();
      return place == null ? null : new XMLInputSource(id.getPublicId(), place, id.getBaseSystemId());
    }
  }

  static byte[] encode(EXIFactory factory, XMLReader reader, byte[] xml) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    EXIResult result = new EXIResult(factory);
    result.setOutputStream(out);
    reader.setContentHandler(result.getHandler());
    reader.parse(new InputSource(new ByteArrayInputStream(xml)));
    return out.toByteArray();
  }

  static void decode(EXIFactory factory, byte[] exi) throws Exception {
    XMLReader reader = new EXISource(factory).getXMLReader();
    reader.setContentHandler(new DefaultHandler());
    reader.parse(new InputSource(new ByteArrayInputStream(exi)));
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      String[] parts = line.split("\t");
      EXIFactory factory = DefaultEXIFactory.newInstance();
      factory.setGrammars(GrammarFactory.newInstance().createGrammars(parts[0], new Local()));
      factory.setValueMaxLength(0);
      factory.setValuePartitionCapacity(0);
      factory.setMaximumNumberOfBuiltInElementGrammars(0);
      factory.setMaximumNumberOfBuiltInProductions(0);
      SAXParserFactory parsers = SAXParserFactory.newInstance();
      parsers.setNamespaceAware(true);
      XMLReader reader = parsers.newSAXParser().getXMLReader();
      byte[] xml = Base64.getDecoder().decode(parts[1]);
      byte[] exi = encode(factory, reader, xml);
      double[][] spent = new double[2][15];
      for (int round = -15; round < 15; round++) {
        long start = System.nanoTime();
        for (int i = 0; i < 400; i++) encode(factory, reader, xml);
        long middle = System.nanoTime();
        for (int i = 0; i < 400; i++) decode(factory, exi);
        long end = System.nanoTime();
        if (round >= 0) {
          spent[0][round] = (middle - start) / 4e5;
          spent[1][round] = (end - middle) / 4e5;
        }
      }
      Arrays.sort(spent[0]);
      Arrays.sort(spent[1]);
      System.out.println(Base64.getEncoder().encodeToString(exi) + "\t" + spent[0][7] + "\t" + spent[1][7]);
    }
  }
}
