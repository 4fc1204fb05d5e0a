/// The kinds of device in a home that carry firmware of their own.
public enum DeviceType: String, CaseIterable, Hashable, Sendable {
    case communicationsHub = "CH"
    case esme = "ESME"
    case gsme = "GSME"
    case ppmid = "PPMID"
    case hcalcs = "HCALCS"

    /// As sentences have it: `an ESME`, `a GSME`.
    public var withArticle: String {
        switch self {
        case .esme, .hcalcs: "an \(rawValue)"
        case .communicationsHub, .gsme, .ppmid: "a \(rawValue)"
        }
    }

    /// The form of this device's firmware images.
    ///
    /// ESME and GSME: GBCS 11.2.2; the HCALCS is updated in the same way; a PPMID holds no
    /// supplier credentials and its image no signature. Assumption: an image for the
    /// Communications Hub has the signed form, with its owner's key in the supplier's place.
    public var imageForm: FirmwareImage.Form {
        switch self {
        case .ppmid: .gbcsUnsigned
        case .communicationsHub, .esme, .gsme, .hcalcs: .gbcsSigned
        }
    }
}
