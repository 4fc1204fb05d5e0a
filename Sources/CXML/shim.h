#include <libxml/xmlversion.h>

// Debian's libxml2 converts texts with ICU, whose headers Foundation has in another version. Only
// the layout of encoding handlers follows from it, and those are used by pointer alone.
#undef LIBXML_ICU_ENABLED

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/tree.h>
#include <libxml/c14n.h>
#include <libxml/xmlschemas.h>
#include <libxml/xpath.h>
#include <libxml/xmlsave.h>

/* A variable with a function in it, which Swift may not call. */
static inline void han_xml_free(void *memory) { xmlFree(memory); }
