import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.Collections;
import javax.net.ssl.KeyManagerFactory;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.est.CSRRequestResponse;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.util.Store;

/** CA certificates, request attributes and enrolment with the EST client of BouncyCastle; prints what it got. */
public class BouncyCastleEst {
    public static void main(String[] a) throws Exception {
        String host = a[0], label = a[2], user = a[4], store = a[6];
        int port = Integer.parseInt(a[1]);
        Security.addProvider(new BouncyCastleProvider());
        X509Certificate root;
        try (FileInputStream in = new FileInputStream(a[3])) {
            root = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
        JsseESTServiceBuilder builder = new JsseESTServiceBuilder(host, port,
            JcaJceUtils.getCertPathTrustManager(Collections.singleton(new TrustAnchor(root, null)), null));
        builder.withTimeout(20000);
        if (!label.isEmpty()) {
            builder.withLabel(label);
        }
        boolean renewal = !store.isEmpty();
        if (renewal) {
            KeyStore keys = KeyStore.getInstance("PKCS12");
            keys.load(new ByteArrayInputStream(Files.readAllBytes(Path.of(store))), a[5].toCharArray());
            KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
            factory.init(keys, a[5].toCharArray());
            builder.withKeyManagers(factory.getKeyManagers());
        }
        ESTService est = builder.build();
        print("ca", est.getCACerts().getCertificateStore());
        CSRRequestResponse attributes = est.getCSRAttributes();
        if (attributes.hasAttributesResponse()) {
            attributes.getAttributesResponse().getRequirements().forEach(oid -> System.out.println("attribute " + oid));
        }
        PKCS10CertificationRequest request = new PKCS10CertificationRequest(Files.readAllBytes(Path.of(a[7])));
        ESTAuth auth = renewal ? null : new JcaHttpAuthBuilder(user, a[5].toCharArray())
            .setNonceGenerator(new SecureRandom()).setProvider("BC").build();
        EnrollmentResponse answer = est.simpleEnroll(renewal, request, auth);
        print("certificate", answer.getStore());
    }

    private static void print(String kind, Store<X509CertificateHolder> store) throws Exception {
        for (X509CertificateHolder one : store.getMatches(null)) {
            System.out.println(kind + " " + Base64.getEncoder().encodeToString(one.getEncoded()));
        }
    }
}
