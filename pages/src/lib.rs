//! The pages: from the API's messages to HTML, SVG and the assets beside them. Pure: no clock, no IO.
