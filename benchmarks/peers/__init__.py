"""What others do the same thing with: selenium with chromedriver, and whatsapp-web.js with puppeteer."""
